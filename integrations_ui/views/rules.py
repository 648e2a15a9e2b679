"""Owns the tab "Status rules" of a connection: which status an outcome sets on a board, one form a board."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import retarget

from integrations_ui.access import lead_page, member_page
from integrations_ui.cards import card_of
from integrations_ui.frame import connection_of, connection_page
from integrations_ui.rule_forms import BoardForm, BoardRow, board_rows
from integrations_ui.sessions.fragments import is_htmx
from integrations_ui.sessions.tickets import away_text
from psa import selectors, services
from psa.exceptions import InvalidInputError, MissingError, NotFoundError, PsaError, ServiceError
from psa.types import Scope

BOARD_MAX_CHARS = 40
"""Longest id of a board, as the database stores it."""
UNPROCESSABLE = 422


@require_safe
@member_page
def rules(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Show the rules as stored. The boards without one come by `rules_boards`, unless asked for now."""
    connection = connection_of(scope, connection_id)
    context = _context(scope, connection, ask="now" in request.GET)
    return connection_page(request, scope, connection, "rules", "integrations_ui/rules/page.html", context)


@require_safe
@member_page
def rules_boards(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Return all boards of the PSA, those without a rule named."""
    connection = connection_of(scope, connection_id)
    if not is_htmx(request):
        return redirect(f"{reverse('integrations_ui:rules', args=[connection_id])}?now=1")
    context = _context(scope, connection, ask=True) | {"scope": scope, "connection": connection}
    return render(request, "integrations_ui/rules/_boards.html", context)


@require_POST
@lead_page
def rules_refresh(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Read the statuses of every board that has a rule again."""
    connection = connection_of(scope, connection_id)
    try:
        found = services.status_rules_refresh(scope.tenant, connection_id)
    except (PsaError, LookupError) as exc:
        messages.error(request, f"{away_text(exc)} The rules are shown as they were last read.")
    else:
        broken = sum(not rule.valid for rule in found)
        if broken:
            what = "1 rule names" if broken == 1 else f"{broken} rules name"
            messages.warning(request, f"{what} a status that cannot be set any more.")
        else:
            messages.success(request, "Every rule can be set as it stands.")
    return redirect("integrations_ui:rules", connection.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@lead_page
def rules_board(request: HttpRequest, scope: Scope, connection_id: int, board_id: str) -> HttpResponse:
    """Show the form of one board; a POST stores its rules. `show` answers the row instead."""
    connection = connection_of(scope, connection_id)
    htmx = is_htmx(request)
    if request.method != "POST" and "show" in request.GET and htmx:
        return _row(request, scope, connection, board_id)
    context: dict[str, Any] = {"board_id": _checked(board_id), "scope": scope, "connection": connection}
    status = 200
    if htmx or request.method == "POST" or "now" in request.GET:
        context |= _form(request, scope, connection, board_id)
        form = context.get("form")
        if request.method == "POST" and form is not None and _saved(scope, connection, form):
            if htmx:
                return _row(request, scope, connection, board_id, saved=True)
            messages.success(request, f"The rules of {context['name']} are saved.")
            return redirect(f"{reverse('integrations_ui:rules', args=[connection_id])}#board-{board_id}")
        if request.method == "POST":
            status = UNPROCESSABLE if form is not None else 503
    else:
        context["name"] = _stored_name(scope, connection, board_id) or "This board"
    if htmx and status == 503:
        # Beside the form, so that what was chosen is not lost.
        notice = {"tone": "bad", "text": f"{context.get('away', '')} Nothing was saved.", "role": "alert"}
        answer = render(request, "integrations_ui/elements/notice.html", notice)
        return retarget(answer, f'[id="trouble-{board_id}"]')
    if htmx:
        return render(request, "integrations_ui/rules/_form.html", context, status=status)
    return connection_page(
        request,
        scope,
        connection,
        "rules",
        "integrations_ui/rules/board.html",
        context,
        crumbs=_crumbs(connection, context["name"]),
        status=status,
    )


@require_safe
@lead_page
def rules_warnings(request: HttpRequest, scope: Scope, connection_id: int, board_id: str) -> HttpResponse:
    """Return what is doubtful about a status while it is being chosen."""
    connection = connection_of(scope, connection_id)
    outcome = request.GET.get("outcome", "")
    try:
        found = selectors.statuses(scope.tenant, connection_id, _checked(board_id))
    except (PsaError, LookupError):
        found = []
    form = BoardForm(board_id, found, card_of(connection).provider_label, request.GET)
    warnings = form.warnings(outcome) if outcome in selectors.outcomes() else []
    return render(request, "integrations_ui/rules/_warnings.html", {"warnings": warnings})


@require_http_methods(["GET", "HEAD", "POST"])
@lead_page
def rules_clear(request: HttpRequest, scope: Scope, connection_id: int, board_id: str) -> HttpResponse:
    """Ask once, then end all rules of a board, also of one that is gone."""
    connection = connection_of(scope, connection_id)
    name = _stored_name(scope, connection, _checked(board_id))
    back = reverse("integrations_ui:rules", args=[connection_id])
    if request.method == "POST":
        services.status_rules_set(scope.tenant, connection_id, [], actor=scope.actor, board_id=board_id)
        messages.success(request, f"{name or 'The board'} has no rules now.")
        return redirect(back)
    if not name:
        raise MissingError("This board has no rules.")
    context = {"name": name, "back": back}
    template = "integrations_ui/rules/clear.html"
    return connection_page(
        request, scope, connection, "rules", template, context, crumbs=_crumbs(connection, name)
    )


def _context(scope: Scope, connection: Any, *, ask: bool) -> dict[str, Any]:
    found = None
    away = ""
    if ask:
        try:
            found = selectors.boards(scope.tenant, connection.pk)
        except (PsaError, LookupError) as exc:
            away = away_text(exc)
    stored = list(selectors.status_rules(scope.tenant, connection.pk))
    ruled, bare = board_rows(stored, found, card_of(connection).provider_label)
    checked = [rule.checked_at for rule in stored if rule.checked_at]
    return {
        "asked": ask,
        "away": away,
        "ruled": ruled,
        "bare": bare,
        "checked_at": min(checked) if checked else None,
    }


def _form(request: HttpRequest, scope: Scope, connection: Any, board_id: str) -> dict[str, Any]:
    """Return the board's name and its form, or why there is none.

    Raises: MissingError, for a board the PSA does not know and nothing is stored about.
    """
    stored = _stored_name(scope, connection, board_id)
    try:
        board = next(
            (row for row in selectors.boards(scope.tenant, connection.pk) if row.id == board_id), None
        )
        if board is None:
            raise NotFoundError("The board is gone, or hidden from our API member.")
        statuses = selectors.statuses(scope.tenant, connection.pk, board_id)
    except NotFoundError as exc:
        if not stored:
            raise MissingError(exc.message) from exc
        return {"name": stored, "gone": True}
    except (PsaError, LookupError) as exc:
        return {"name": stored or "This board", "away": away_text(exc)}
    rules = selectors.status_rules(scope.tenant, connection.pk).filter(board_id=board_id)
    label = card_of(connection).provider_label
    data = request.POST if request.method == "POST" else None
    form = BoardForm(board_id, statuses, label, data, rules=rules)
    lost = [rule for rule in rules if rule.status_id not in form.statuses]
    return {"name": board.name, "form": form, "lost": lost}


def _saved(scope: Scope, connection: Any, form: BoardForm) -> bool:
    """Store the rules of a form; False when something is wrong, and the form says what."""
    if not form.is_valid():
        return False
    drafts = form.drafts()
    try:
        services.status_rules_set(
            scope.tenant, connection.pk, drafts, actor=scope.actor, board_id=form.board_id
        )
    except InvalidInputError as exc:
        form.errors_place(exc, drafts)
    except ServiceError as exc:
        form.add_error(None, exc.message)
    except (PsaError, LookupError) as exc:
        form.add_error(None, f"{away_text(exc)} Nothing was saved.")
    return form.is_valid()


def _row(
    request: HttpRequest, scope: Scope, connection: Any, board_id: str, *, saved: bool = False
) -> HttpResponse:
    rules = selectors.status_rules(scope.tenant, connection.pk).filter(board_id=_checked(board_id))
    ruled, _bare = board_rows(rules, None, card_of(connection).provider_label)
    row = ruled[0] if ruled else BoardRow(board_id, _name(scope, connection, board_id), ())
    context = {"scope": scope, "connection": connection, "row": row, "saved": saved, "focus": True}
    return render(request, "integrations_ui/rules/_board.html", context)


def _name(scope: Scope, connection: Any, board_id: str) -> str:
    """Return the name of a board without a rule; the boards are in the cache when its row is shown."""
    try:
        found = selectors.boards(scope.tenant, connection.pk)
    except (PsaError, LookupError):
        return "This board"
    return next((board.name for board in found if board.id == board_id), "This board")


def _stored_name(scope: Scope, connection: Any, board_id: str) -> str:
    rule = selectors.status_rules(scope.tenant, connection.pk).filter(board_id=board_id).first()
    return (rule.board_name or board_id) if rule else ""


def _checked(board_id: str) -> str:
    """Return an id that can be one. Raises: MissingError."""
    if len(board_id) > BOARD_MAX_CHARS or not board_id.isprintable() or '"' in board_id:
        raise MissingError("There is no such board.")
    return board_id


def _crumbs(connection: Any, name: str) -> tuple[tuple[str, str], ...]:
    return (("Status rules", reverse("integrations_ui:rules", args=[connection.pk])), (name, ""))
