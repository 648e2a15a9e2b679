"""Owns the tab "Members" of a connection: who is which member of the PSA. Invitations are in `invite`."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from integrations_ui.access import lead_page, member_page
from integrations_ui.frame import connection_of, connection_page
from integrations_ui.member_rows import HOW, news_lines, people_lines
from integrations_ui.sessions.fragments import is_htmx
from integrations_ui.sessions.tickets import away_text
from psa import selectors, services
from psa.exceptions import ConflictError, MissingError, PsaError, ServiceError
from psa.selectors import MemberPlan, PersonRow, Unmatched
from psa.types import Member, Scope

FREE_PAGE = 25
"""Members without a user on one page, and so invited at once at most."""
CHOICES = 20
"""Members a search shows. Whoever wants more types another word."""
QUERY_MAX_CHARS = 100


@require_safe
@member_page
def members(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Show who is mapped. The members come by `members_plan`, unless they are cached or asked for now."""
    connection = connection_of(scope, connection_id)
    ask = "now" in request.GET or selectors.members_known(scope.tenant, connection_id) is not None
    context = _context(request, scope, connection, ask=ask)
    return connection_page(
        request, scope, connection, "members", "integrations_ui/members/page.html", context
    )


@require_safe
@member_page
def members_plan(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Return everything that needs the list of members; `refresh` reads it again."""
    connection = connection_of(scope, connection_id)
    if not is_htmx(request):
        return redirect(f"{reverse('integrations_ui:members', args=[connection_id])}?now=1")
    context = _context(request, scope, connection, ask=True, refresh="refresh" in request.GET)
    context |= {"scope": scope, "connection": connection}
    return render(request, "integrations_ui/members/_plan.html", context)


@require_safe
@member_page
def members_free(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Return the members nobody is mapped to, as searched."""
    connection = connection_of(scope, connection_id)
    if not is_htmx(request):
        query = urlencode({"now": "1", "q": _query(request)})
        return redirect(f"{reverse('integrations_ui:members', args=[connection_id])}?{query}#free")
    context = _context(request, scope, connection, ask=True)
    context |= {"scope": scope, "connection": connection}
    return render(request, "integrations_ui/members/_free.html", context)


@require_POST
@lead_page
def members_match(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Map everybody whose e-mail names exactly one member."""
    connection = connection_of(scope, connection_id)
    try:
        matched = services.members_match(scope.tenant, connection_id, actor=scope.actor)
    except ServiceError as exc:
        messages.error(request, exc.message)
    except (PsaError, LookupError) as exc:
        messages.error(request, f"{away_text(exc)} Nothing was changed.")
    else:
        made, plan = len(matched.made), matched.plan
        unclear = sum(row.why is Unmatched.AMBIGUOUS for row in plan.rows)
        said = f"{_people(made)} matched by e-mail." if made else "Nobody new was found by e-mail."
        if unclear:
            said += f" {_people(unclear)} could not be told apart: choose by hand."
        messages.add_message(request, messages.SUCCESS if made else messages.INFO, said)
    return redirect("integrations_ui:members", connection.pk)


@require_POST
@lead_page
def members_news(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Say that somebody has looked at what the nightly review found."""
    connection = connection_of(scope, connection_id)
    services.member_news_clear(scope.tenant, connection_id)
    messages.success(request, "The list is empty until the next change.")
    return redirect("integrations_ui:members", connection.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@lead_page
def member_choose(request: HttpRequest, scope: Scope, connection_id: int, user_id: int) -> HttpResponse:
    """Search the member a person is; a POST maps them."""
    connection = connection_of(scope, connection_id)
    row = _person(scope, connection_id, user_id)
    if not row.person.active:
        raise MissingError("There is no such active person in your account.")
    context: dict[str, Any] = {"row": row, "query": _query(request), "how": _how(row)}
    status = 200
    if request.method == "POST":
        try:
            _map(scope, connection_id, row, request.POST.get("member", ""))
        except ServiceError as exc:
            found = [sentence for sentences in exc.fields.values() for sentence in sentences]
            context["refused"] = exc.message if isinstance(exc, ConflictError) else " ".join(found)
            status = 409 if isinstance(exc, ConflictError) else 422
        except (PsaError, LookupError) as exc:
            context["refused"], status = f"{away_text(exc)} Nothing was changed.", 503
        else:
            messages.success(request, f"{row.person.name} is mapped.")
            return redirect(f"{reverse('integrations_ui:members', args=[connection_id])}#person-{user_id}")
    known = selectors.members_known(scope.tenant, connection_id) is not None
    if is_htmx(request) or known or "now" in request.GET:
        context |= _results(scope, connection_id, row, context["query"])
    context |= {"scope": scope, "connection": connection}
    if is_htmx(request) and request.method != "POST":
        return render(request, "integrations_ui/members/_results.html", context)
    return connection_page(
        request,
        scope,
        connection,
        "members",
        "integrations_ui/members/choose.html",
        context,
        crumbs=_crumbs(connection, row.person.name),
        status=status,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@lead_page
def member_clear(request: HttpRequest, scope: Scope, connection_id: int, user_id: int) -> HttpResponse:
    """Ask once, then end the mapping of a person."""
    connection = connection_of(scope, connection_id)
    row = _person(scope, connection_id, user_id)
    if request.method == "POST":
        try:
            services.member_mappings_set(scope.tenant, connection_id, {user_id: None}, actor=scope.actor)
        except ConflictError as exc:
            messages.warning(request, exc.message)
        else:
            messages.success(request, f"{row.person.name} is mapped to nobody now.")
        return redirect("integrations_ui:members", connection.pk)
    if row.mapping is None:
        return redirect("integrations_ui:members", connection.pk)
    return connection_page(
        request,
        scope,
        connection,
        "members",
        "integrations_ui/members/clear.html",
        {"row": row, "back": reverse("integrations_ui:members", args=[connection_id])},
        crumbs=_crumbs(connection, row.person.name),
    )


def _context(
    request: HttpRequest, scope: Scope, connection: Any, *, ask: bool, refresh: bool = False
) -> dict[str, Any]:
    plan: MemberPlan | None = None
    away = ""
    if ask:
        try:
            plan = selectors.member_plan(scope.tenant, connection.pk, refresh=refresh)
        except (PsaError, LookupError) as exc:
            away = away_text(exc)
    rows = plan.rows if plan else selectors.member_rows(scope.tenant, connection.pk)
    review = selectors.member_review(scope.tenant, connection.pk)
    query = _query(request)
    free = _matching(plan.free, query) if plan else []
    page = Paginator(free, FREE_PAGE).get_page(request.GET.get("page"))
    return {
        "asked": ask,
        "away": away,
        "people": people_lines(rows),
        "news": news_lines(review, rows),
        "reviewed_at": review.checked_at if review else None,
        "query": query,
        "free_count": len(plan.free) if plan else 0,
        "page": page,
        "page_query": urlencode({"now": "1", "q": query}) + "&",
        "ticked": "tick" in request.GET,
    }


def _matching(found: tuple[Member, ...], query: str) -> list[Member]:
    words = query.casefold().split()

    def text(member: Member) -> str:
        return "\n".join((member.name, member.identifier, *member.emails)).casefold()

    return [member for member in found if all(word in text(member) for word in words)]


def _results(scope: Scope, connection_id: int, row: PersonRow, query: str) -> dict[str, Any]:
    """Return the members a person can be mapped to, those with their address first, and taken ones."""
    try:
        found = selectors.members_search(scope.tenant, connection_id, query, at_most=CHOICES)
        own = [] if query else _with_address(scope, connection_id, row)
    except (PsaError, LookupError) as exc:
        return {"asked": True, "away": away_text(exc)}
    taken = selectors.member_mappings(scope.tenant, connection_id).exclude(user_id=row.person.id)
    words = query.split()
    for word in words:
        taken = taken.filter(member_name__icontains=word)
    ids = {member.id for member in own}
    return {
        "asked": True,
        "members": [*own, *(member for member in found if member.id not in ids)][:CHOICES],
        "own": ids,
        "more": len(found) >= CHOICES,
        "taken": list(taken[:5]) if words else [],
    }


def _with_address(scope: Scope, connection_id: int, row: PersonRow) -> list[Member]:
    address = row.person.email.strip().casefold()
    if not address:
        return []
    return [
        member
        for member in selectors.members_search(scope.tenant, connection_id, address, at_most=None)
        if address in (email.casefold() for email in member.emails)
    ]


def _map(scope: Scope, connection_id: int, row: PersonRow, member_id: str) -> None:
    member_id = member_id.strip()
    if not member_id or len(member_id) > 40 or not member_id.isprintable():
        raise ConflictError("Choose one of the members first.", code="invalid")
    services.member_mappings_set(scope.tenant, connection_id, {row.person.id: member_id}, actor=scope.actor)


def _person(scope: Scope, connection_id: int, user_id: int) -> PersonRow:
    """Return one of us with their mapping. Raises: MissingError, also for another tenant's."""
    for row in selectors.member_rows(scope.tenant, connection_id):
        if row.person.id == user_id:
            return row
    raise MissingError("There is no such person in your account.")


def _how(row: PersonRow) -> str:
    return HOW.get(row.mapping.how, "") if row.mapping else ""


def _query(request: HttpRequest) -> str:
    return " ".join(request.GET.get("q", "").split())[:QUERY_MAX_CHARS]


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _crumbs(connection: Any, name: str) -> tuple[tuple[str, str], ...]:
    return (("Members", reverse("integrations_ui:members", args=[connection.pk])), (name, ""))
