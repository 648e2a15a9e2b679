"""Owns the page of a connection's callbacks: what arrives, asking for one, taking one back."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from integrations_ui.access import admin_page, member_page
from integrations_ui.frame import connection_of, connection_page
from integrations_ui.sessions.fragments import is_htmx
from integrations_ui.wording import CALLBACK_STATES
from psa import selectors, services
from psa.exceptions import ConflictError, InvalidInputError, PsaError, UnsupportedOperationError
from psa.types import Board, Scope

UNPROCESSABLE = 422
ALL_BOARDS = "all"


class CallbackForm(forms.Form):
    """Of which tickets we want to be told: of all, or of those of one board."""

    board = forms.CharField(label="Tickets of")

    def __init__(self, boards: list[Board], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(ALL_BOARDS, "All boards")] + [(board.id, board.name) for board in boards]
        # What was posted is judged by the service: the boards may not be known any more.
        self.fields["board"].widget = forms.Select(choices=choices)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def callbacks(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponseBase:
    """Show what is registered, and when it was last heard of; an admin's POST asks for one more."""
    connection = connection_of(scope, connection_id)
    if request.method == "POST":
        return _add(request, connection_id)
    ask = "boards" in request.GET
    form = CallbackForm(_boards(scope, connection, ask=ask)) if _can_add(scope, connection) else None
    return _page(request, scope, connection, form)


@require_safe
@admin_page
def board_field(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Answer the field with the boards of the PSA; a page with it where htmx does not ask."""
    connection = connection_of(scope, connection_id)
    if not is_htmx(request):
        return redirect(f"{reverse('integrations_ui:callbacks', args=[connection_id])}?boards")
    form = CallbackForm(_boards(scope, connection, ask=True))
    return render(request, "integrations_ui/elements/field.html", {"field": form["board"]})


@require_http_methods(["GET", "HEAD", "POST"])
@admin_page
def remove(request: HttpRequest, scope: Scope, connection_id: int, callback_id: int) -> HttpResponse:
    """Ask once, then take a callback back."""
    connection = connection_of(scope, connection_id)
    callback = selectors.callback_get(scope.tenant, connection_id, callback_id)
    if request.method == "POST":
        services.callback_remove(scope.tenant, connection_id, callback_id, actor=scope.actor)
        messages.success(request, "Taken back. Tickets are still asked for every two minutes.")
        return redirect("integrations_ui:callbacks", connection_id)
    template = "integrations_ui/callbacks/remove.html"
    names = {board.id: board.name for board in _boards(scope, connection, ask=False)}
    facts = {"callback": callback, "about": _about(callback, names)}
    crumbs = (("Callbacks", reverse("integrations_ui:callbacks", args=[connection_id])), ("Take back", ""))
    return connection_page(request, scope, connection, "callbacks", template, facts, crumbs=crumbs)


@admin_page
def _add(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    connection = connection_of(scope, connection_id)
    form = CallbackForm(_boards(scope, connection, ask=False), request.POST)
    if form.is_valid():
        board = form.cleaned_data["board"]
        board = "" if board == ALL_BOARDS else board
        try:
            made = services.callback_add(
                scope.tenant,
                connection.pk,
                actor=scope.actor,
                level="board" if board else "owner",
                object_id=board,
            )
        except InvalidInputError as exc:
            for sentences in exc.fields.values():
                for sentence in sentences:
                    form.add_error("board", sentence)
        except (ConflictError, UnsupportedOperationError) as exc:
            form.add_error(None, str(exc))
        else:
            if made.state == "active":
                messages.success(request, "Registered. Changes of tickets arrive at once from now on.")
            else:
                text = (made.problem or {}).get("text", "")
                messages.warning(request, f"It is wanted, but not registered yet. {text}")
            return redirect("integrations_ui:callbacks", connection.pk)
    return _page(request, scope, connection, form, status=UNPROCESSABLE)


def _page(
    request: HttpRequest, scope: Scope, connection: Any, form: CallbackForm | None, status: int = 200
) -> HttpResponse:
    rows = selectors.callbacks(scope.tenant, connection.pk)
    boards = _boards(scope, connection, ask=False)
    names = {board.id: board.name for board in boards}
    shown = [(row, _about(row, names), *CALLBACK_STATES[row.state]) for row in rows]
    template = "integrations_ui/connections/callbacks.html"
    facts = {"rows": shown, "form": form, "boards_known": bool(boards)}
    return connection_page(request, scope, connection, "callbacks", template, facts, status=status)


def _about(callback: Any, board_names: dict[str, str]) -> str:
    """Return of which tickets a callback tells."""
    if callback.level == "owner":
        return "All tickets"
    name = board_names.get(callback.object_id)
    return f"Tickets of the board {name}" if name else f"Tickets of {callback.level} {callback.object_id}"


def _can_add(scope: Scope, connection: Any) -> bool:
    return (
        scope.can_manage
        and connection.state != "disabled"
        and bool(selectors.callback_levels(scope.tenant, connection.pk))
    )


def _boards(scope: Scope, connection: Any, *, ask: bool) -> list[Board]:
    """Return the boards one can choose from: those that are known, or what the PSA answers."""
    if not ask:
        return selectors.boards_known(scope.tenant, connection.pk)
    try:
        return selectors.boards(scope.tenant, connection.pk)
    except (PsaError, LookupError):
        return []
