"""Owns how what needs a person is listed: one row a cause, with what can be done about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.core.signing import BadSignature, Signer
from django.urls import reverse

from psa.selectors import NOT_MAPPED, Problem, ProblemScope
from psa.types import Scope

_SIGNER = Signer(salt="integrations_ui.problem")


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """One problem as a row."""

    problem: Problem
    retry_label: str
    discard_label: str
    touches: str
    """What it touches, in words: "3 posts wait"."""
    link: str
    """Where it is looked at more closely; empty when its connection was deleted."""
    shown: str
    """Goes along with a form: proves that this tenant was shown the problem."""


def problem_rows(problems: Iterable[Problem], scope: Scope) -> list[ProblemRow]:
    """Return the rows of problems, in their order."""
    return [_row(problem, scope) for problem in problems]


def was_shown(scope: Scope, problem_id: int, shown: str) -> bool:
    """Return True when a problem that is no longer there was once on a page of this tenant.

    So "somebody solved it meanwhile" can be told from another tenant's problem, which is not found.
    """
    try:
        return _SIGNER.unsign(shown) == _name(scope, problem_id)
    except BadSignature:
        return False


def _row(problem: Problem, scope: Scope) -> ProblemRow:
    one = problem.count == 1
    about_posts = problem.scope is ProblemScope.DELIVERIES
    if about_posts:
        retry = "Retry" if one else f"Retry all {problem.count}"
        touches = _posts(problem.count)
    else:
        retry = "Test again"
        touches = (
            f"{_posts(problem.count)} {'waits' if one else 'wait'}" if problem.count else "Nothing waits"
        )
    if problem.can_retry:
        discard = "Discard" if one else f"Discard all {problem.count}"
    else:
        discard = "I looked at it" if one else f"I looked at all {problem.count}"
    live = [row for row in problem.connections if row.deleted_at is None]
    page = "activity" if about_posts else "connection"
    if problem.code == NOT_MAPPED:
        page = "members"
    return ProblemRow(
        problem=problem,
        retry_label=retry,
        discard_label=discard,
        touches=touches,
        link=reverse(f"integrations_ui:{page}", args=[live[0].pk]) if live else "",
        shown=_SIGNER.sign(_name(scope, problem.id)),
    )


def _name(scope: Scope, problem_id: int) -> str:
    return f"{scope.tenant.pk}/{problem_id}"


def _posts(count: int) -> str:
    return "1 post" if count == 1 else f"{count} posts"
