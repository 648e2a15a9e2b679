"""Owns what the frame of every page shows about the signed-in person: their rights, and what needs a person.

The context processor `shell` is listed in the host's settings. Nothing is read before a template asks for it.
"""

from __future__ import annotations

from functools import cached_property

from django.http import HttpRequest

from psa import selectors
from psa.selectors import Problem
from psa.types import Scope
from resolutionflow.accounts.scope import scope as scope_of
from resolutionflow.accounts.second_factor import second_factor_due, second_factor_required

_ATTRIBUTE = "_integrations_ui_shell"


class Shell:
    """What is known about the person of one request. Each part is read once, when it is first asked for."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def scope(self) -> Scope | None:
        """What the person may do; None without a sign-in or a membership."""
        return scope_of(self._request) if hasattr(self._request, "user") else None

    @cached_property
    def second_factor_required(self) -> bool:
        """True when the site asks this person for a second factor."""
        return second_factor_required(self._request.user)

    @cached_property
    def second_factor_due(self) -> bool:
        """True while they have none, so that every page leads to its set-up."""
        return second_factor_due(self._request.user)

    @cached_property
    def problems(self) -> list[Problem]:
        """What needs a person, as far as this one may see it; empty for whoever is no member."""
        if self.scope is None:
            return []
        sight = selectors.problem_sight(self.scope)
        return selectors.problems(self.scope.tenant, created_by=sight)

    @property
    def problem_count(self) -> int:
        """How many distinct problems there are: the figure of the badge."""
        return len(self.problems)


def shell_of(request: HttpRequest) -> Shell:
    """Return the request's shell; a view and its templates share one."""
    found: Shell | None = getattr(request, _ATTRIBUTE, None)
    if found is None:
        found = Shell(request)
        setattr(request, _ATTRIBUTE, found)
    return found


def shell(request: HttpRequest) -> dict[str, Shell]:
    """Return the context of every template: `shell`."""
    return {"shell": shell_of(request)}
