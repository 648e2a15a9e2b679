"""Owns the session pages: the list, a new session, one session with its steps, and its live deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from integrations_ui.access import member_page
from integrations_ui.kept import keeps_typed
from integrations_ui.paging import page_of
from integrations_ui.sessions.draft import kept_take
from integrations_ui.sessions.forms import SessionEditForm, SessionForm, StepForm, errors_add, summary_of
from integrations_ui.sessions.fragments import STOP_POLLING, has_fragment, is_htmx
from integrations_ui.sessions.rows import Board, needing_person, session_board, summaries
from integrations_ui.sessions.time_form import offers
from psa.exceptions import ServiceError
from psa.types import Scope
from resolutionflow.sessions import rendering, selectors, services
from resolutionflow.sessions.models import FlowSession

PAGE_SIZE = 25
SAME_STEP = timedelta(seconds=30)
"""The same step again within this time is a second click, not a second step."""
UNPROCESSABLE = 422
FILTERS = {
    "": ("All", "list"),
    "open": ("Open", "circle-dot"),
    "completed": ("Completed", "circle-check"),
    "needs-you": ("Needs you", "triangle-alert"),
}
"""Value of `show` → words and icon."""


@dataclass(frozen=True, slots=True)
class Tab:
    """One filter of the list, as elements/tabs.html takes it."""

    label: str
    url: str
    icon: str
    current: bool
    count: int = 0
    tone: str = ""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session as the list shows it."""

    session: FlowSession
    words: str
    tone: str


@require_safe
@member_page
def session_list(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Show sessions, the newest first: an engineer's own, to leads all; each may switch to the other."""
    show, whose = request.GET.get("show", ""), request.GET.get("whose", "")
    show = show if show in FILTERS else ""
    whose = whose if whose in ("mine", "all") else "all" if scope.can_lead else "mine"
    found = selectors.sessions(scope.tenant)
    if whose == "mine":
        found = found.filter(created_by_id=scope.actor.user_id)
    stuck = needing_person(scope.tenant, found)
    match show:
        case "open":
            found = found.filter(state="open")
        case "completed":
            found = found.filter(state="completed")
        case "needs-you":
            found = stuck
    page = page_of(found.select_related("link__connection"), PAGE_SIZE, request.GET.get("page"))
    said = summaries(scope.tenant, page)
    rows = [SessionRow(session, *said.get(session.pk, ("Nothing posted", "off"))) for session in page]
    address = reverse("integrations_ui:sessions")
    waiting = stuck.count()
    tabs = [
        Tab(label, f"{address}?whose={whose}&show={value}", icon, value == show, *_count(value, waiting))
        for value, (label, icon) in FILTERS.items()
    ]
    context = {
        "page": page,
        "rows": rows,
        "tabs": tabs,
        "show": show,
        "whose": whose,
        "query": f"whose={whose}&show={show}&",
    }
    return render(request, "integrations_ui/sessions/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda: ("title", "flow"))
@member_page
def session_new(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Ask what a new session is about, and begin it."""
    form = SessionForm(
        scope.tenant, request.POST if request.method == "POST" else None, initial=kept_take(request)
    )
    if request.method == "POST" and form.is_valid():
        try:
            session = services.session_create(
                scope.tenant,
                actor=scope.actor,
                title=form.cleaned_data["title"],
                flow_id=form.cleaned_data["flow"],
            )
        except ServiceError as exc:
            errors_add(form, exc)
        else:
            return redirect("integrations_ui:session", session.pk)
    crumbs = [("Sessions", reverse("integrations_ui:sessions")), ("New session", "")]
    context = {"form": form, "crumbs": crumbs}
    return render(request, "integrations_ui/sessions/new.html", context, status=_status(form))


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda session_id: ("title", "body", "result"))
@member_page
def session_detail(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Show one session; a POST adds a step behind its last one."""
    session = selectors.session_get(scope.tenant, session_id)
    form = StepForm(request.POST if request.method == "POST" else None, initial=kept_take(request))
    if request.method == "POST" and form.is_valid():
        if (step_id := _step_add(request, scope, session, form)) is not None:
            return redirect(f"{reverse('integrations_ui:session', args=[session_id])}#step-{step_id}")
        session = selectors.session_get(scope.tenant, session_id)
    board = session_board(scope, session)
    text = rendering.documentation(selectors.session_text(session), timezone.get_current_timezone())
    context = {
        "session": session,
        "steps": list(session.steps.all()),
        "form": form,
        "documentation": text,
        "offers": offers(session),
        "crumbs": [("Sessions", reverse("integrations_ui:sessions")), (session.title, "")],
        **board_context(session, board),
    }
    return render(request, "integrations_ui/sessions/detail.html", context, status=_status(form))


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda session_id: ("title", "flow", "resolution"))
@member_page
def session_edit(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Change title, flow and closing summary of an open session."""
    session = selectors.session_get(scope.tenant, session_id)
    initial = summary_of(session) | kept_take(request)
    form = SessionEditForm(scope.tenant, request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        flow = form.cleaned_data["flow"]
        try:
            services.session_update(
                scope.tenant,
                session_id,
                title=form.cleaned_data["title"],
                flow_id=flow,
                clear_flow=flow is None,
                resolution=form.cleaned_data["resolution"],
            )
        except ServiceError as exc:
            errors_add(form, exc)
        else:
            if rendering.has_dropped(form.cleaned_data["resolution"]):
                messages.info(request, "Control characters in the closing summary were dropped.")
            messages.success(request, "Saved.")
            return redirect(f"{reverse('integrations_ui:session', args=[session_id])}#saved")
    context = {"session": session, "form": form, "crumbs": session_crumbs(session, "Edit")}
    return render(request, "integrations_ui/sessions/edit.html", context, status=_status(form))


@require_safe
@has_fragment
@member_page
def session_deliveries(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Answer the live part of a session: 204 while nothing has changed, and once more when all is settled."""
    session = selectors.session_get(scope.tenant, session_id)
    if not is_htmx(request):
        return redirect(f"{reverse('integrations_ui:session', args=[session_id])}#deliveries")
    board = session_board(scope, session)
    if board.poll_s and request.GET.get("seen") == board.state:
        return HttpResponse(status=204)
    context = {"session": session, "changed": True, **board_context(session, board)}
    status = 200 if board.poll_s else STOP_POLLING
    return render(request, "integrations_ui/sessions/_deliveries.html", context, status=status)


def board_context(session: FlowSession, board: Board) -> dict[str, Any]:
    """Return what `_deliveries.html` needs."""
    address = reverse("integrations_ui:session-deliveries", args=[session.pk])
    back = f"{reverse('integrations_ui:session', args=[session.pk])}#deliveries"
    return {"board": board, "live_url": f"{address}?seen={board.state}", "session_back": back}


def session_crumbs(session: FlowSession, label: str) -> list[tuple[str, str]]:
    """Return the way back from a page below a session."""
    return [
        ("Sessions", reverse("integrations_ui:sessions")),
        (session.title, reverse("integrations_ui:session", args=[session.pk])),
        (label, ""),
    ]


def _step_add(request: HttpRequest, scope: Scope, session: FlowSession, form: StepForm) -> int | None:
    """Add the step of a form and return its id; None when it was refused, and the form says why."""
    values = form.cleaned_data
    text = {name: rendering.plain_text(values[name]) for name in ("body", "result")}
    text["title"] = rendering.one_line(values["title"])
    last = session.steps.last()
    if (
        last is not None
        and last.author_id == scope.actor.user_id
        and last.created_at > timezone.now() - SAME_STEP
        and all(getattr(last, name) == text[name] for name in text)
    ):
        return last.pk
    try:
        step = services.step_add(scope.tenant, session.pk, actor=scope.actor, **values)
    except ServiceError as exc:
        errors_add(form, exc)
        return None
    if any(rendering.has_dropped(values[name]) for name in ("body", "result")):
        messages.info(request, "Control characters in the step were dropped.")
    return step.pk


def _status(form: Any) -> int:
    return UNPROCESSABLE if form.is_bound and not form.is_valid() else 200


def _count(value: str, waiting: int) -> tuple[int, str]:
    return (waiting, "bad") if value == "needs-you" else (0, "")
