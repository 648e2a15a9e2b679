"""Owns actions that ask first: a page says what follows, and only its POST does it.

An action is chosen for rows of a list, or by a button on the page of one row. A new one is an `Asked`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods

from psa.admin.base import ScopedAdmin, admin_scope
from psa.exceptions import InvalidInputError, ProviderError, PsaError
from psa.types import Scope

NAMED_AT_MOST = 5
"""Rows a message names; of more it tells how many."""

Told = tuple[int, str]
"""Level of `django.contrib.messages`, and a sentence about one row."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing people can do to rows of a model."""

    name: str
    """`disable`: its address below a row, and its name among the actions of the list."""
    label: str
    """On the button, and the title of the page."""
    follows: str
    """What follows, in sentences."""
    run: Callable[[Scope, Any, dict[str, Any]], Told]
    """Do it to one row, with what was filled in. Raises: PsaError, whose sentence is then shown."""
    form: Callable[[Any], type[forms.Form]] = lambda row: forms.Form
    """Form that goes with it, given the first of the rows."""
    fits: Callable[[Any], bool] = lambda row: True
    """True for rows that have the button. What is asked for elsewhere all the same is answered by `run`."""
    on_list: bool = True
    """False for what is done to one row at a time."""
    at_most: int = 100
    """Rows at once."""


class AskingAdmin(ScopedAdmin):
    """Read-only pages with actions that ask first."""

    asked: ClassVar[tuple[Asked, ...]] = ()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions of the list."""
        found: dict[str, Any] = super().get_actions(request)
        if IS_POPUP_VAR in request.GET or not self.has_view_permission(request):
            return found
        listed = (asked for asked in self.asked if asked.on_list)
        return found | {asked.name: (_of_list(asked), asked.name, asked.label) for asked in listed}

    def get_urls(self) -> list[Any]:
        """Return the addresses of these pages, those of the actions on one row among them."""
        own = [
            path(
                f"<path:object_id>/{asked.name}/",
                self.admin_site.admin_view(
                    require_http_methods(["GET", "HEAD", "POST"])(partial(self.of_row, asked))
                ),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{asked.name}",
            )
            for asked in self.asked
        ]
        return own + super().get_urls()

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a row with the buttons that fit it."""
        row = self.get_object(request, unquote(object_id)) if self.has_view_permission(request) else None
        buttons = [
            (asked.label, reverse(self._address(asked.name), args=[row.pk]))
            for asked in self.asked
            if row is not None and asked.fits(row)
        ]
        return super().change_view(request, object_id, form_url, {"asked": buttons, **(extra_context or {})})

    def row_text(self, row: Any) -> str:
        """Return what a page that asks says of a row."""
        return str(row)

    def of_row(self, asked: Asked, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask about one row, do it, and go back to its page; from a row that is gone go to the list."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            row = self.get_object(request, unquote(object_id))
        except Http404:
            name = self.opts.verbose_name
            messages.error(request, f"There is no such {name}. It may have been deleted meanwhile.")
            return redirect(self._address("changelist"))
        answer = self._asked(request, asked, [row], sure=request.method == "POST")
        return answer or redirect(self._address("change"), row.pk)

    def of_rows(self, asked: Asked, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        """Ask about the rows that were chosen in a list and do it; None leads back to the list."""
        rows = list(chosen[: asked.at_most + 1])
        if len(rows) > asked.at_most:
            messages.error(request, f"Nothing was done: choose at most {asked.at_most} at once.")
            return None
        sure = "sure" in request.POST
        gone = len(set(request.POST.getlist(ACTION_CHECKBOX_NAME)) - {str(row.pk) for row in rows})
        if gone and (sure or not rows):
            messages.warning(request, f"{gone} of the chosen ones cannot be found any more.")
        return self._asked(request, asked, rows, sure=sure) if rows else None

    def _asked(
        self, request: HttpRequest, asked: Asked, rows: Sequence[Any], *, sure: bool
    ) -> HttpResponse | None:
        """Return the page that asks, or None once it is done."""
        form = asked.form(rows[0])(request.POST if sure else None)
        if sure and form.is_valid() and self._run(request, asked, rows, form):
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": asked.label,
            "subtitle": None,
            "opts": self.opts,
            "media": self.media + form.media,
            "asked": asked,
            "rows": [(row, self.row_text(row)) for row in rows],
            "form": form,
            "of_list": "action" in request.POST,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/psa/asked.html", context)

    def _run(self, request: HttpRequest, asked: Asked, rows: Sequence[Any], form: forms.Form) -> bool:
        """Do it row by row and tell what came of it; False when the form has to be filled in again."""
        scope = admin_scope(request)
        if scope is None:
            raise PermissionDenied
        told: dict[Told, list[str]] = {}
        for row in rows:
            try:
                answer = asked.run(scope, row, form.cleaned_data)
            except PsaError as exc:
                if len(rows) == 1 and form.fields and isinstance(exc, InvalidInputError | ProviderError):
                    _refuse(form, exc)
                    return False
                answer = messages.ERROR, str(exc)
            told.setdefault(answer, []).append(str(row))
        for (level, sentence), names in told.items():
            messages.add_message(request, level, f"{_named(names)}: {sentence}")
        return True

    def _address(self, what: str) -> str:
        return f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{what}"


def _of_list(asked: Asked) -> Callable[[AskingAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    """Return an action as Django's lists call it."""
    return lambda page, request, chosen: page.of_rows(asked, request, chosen)


def _refuse(form: forms.Form, exc: PsaError) -> None:
    """Put into a form why it was not taken."""
    fields = exc.fields if isinstance(exc, InvalidInputError) else {}
    for name, sentences in fields.items():
        for sentence in sentences:
            form.add_error(name if name in form.fields else None, sentence)
    if not fields:
        form.add_error(None, str(exc))


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
