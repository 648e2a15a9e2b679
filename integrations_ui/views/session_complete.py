"""Owns the complete dialog: how it ended, the closing summary, the status, a preview of it all, the yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from integrations_ui.access import member_page
from integrations_ui.kept import keeps_typed
from integrations_ui.sessions.draft import kept_take
from integrations_ui.sessions.forms import CompleteForm, errors_add
from integrations_ui.sessions.fragments import has_fragment
from integrations_ui.sessions.rows import session_board
from integrations_ui.sessions.tickets import away_text
from integrations_ui.sessions.time_form import NAMES, TimeForm, answers, hidden, local, offers, time_initial
from integrations_ui.views.sessions import UNPROCESSABLE, board_context, session_crumbs
from integrations_ui.wording import KINDS
from psa import selectors as psa_selectors
from psa.exceptions import (
    InvalidInputError,
    MissingError,
    PsaError,
    ServiceError,
    UnsupportedOperationError,
)
from psa.types import BINDING, Scope, Status
from resolutionflow.sessions import selectors, services, ticket_time
from resolutionflow.sessions.models import FlowSession, Outcome

CONFLICT = 409
_NOTIFY = {"": None, "no": False, "yes": True}
OBJECTIONS = frozenset(("time-overlap", *BINDING))
"""Codes of what the PSA has against time: they are answered in the preview."""
_DONE = "Completed. What it posts is on its way to the ticket."


@dataclass(frozen=True, slots=True)
class Choices:
    """What the status field offers."""

    rules: Mapping[str, str]
    """Outcome → name of the status its rule sets on this board; outcomes without a rule are left out."""
    outcome: str = ""
    chosen: str = ""
    """Id or name that was chosen; empty leaves it to the rule."""
    statuses: Sequence[Status] = ()
    asked: bool = False
    """True once the PSA was asked for the statuses of the board."""
    away: str = ""
    """Why it could not tell."""

    @property
    def default(self) -> str:
        """Name of the status the rule sets for the outcome, empty without one."""
        return self.rules.get(self.outcome, "")

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Outcome and status of each rule, in words."""
        return [(label, self.rules[value]) for value, label in Outcome.choices if value in self.rules]

    @property
    def is_listed(self) -> bool:
        """True when the chosen one is among the statuses."""
        return any(self.chosen in (status.id, status.name) for status in self.statuses)


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda session_id: ("outcome", "resolution", "status", "notify", *NAMES))
@member_page
def complete(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Ask how it ended (GET, POST `change` or `statuses`), preview it (`preview`), do it (`complete`)."""
    session = selectors.session_get(scope.tenant, session_id)
    action = request.POST.get("action", "")
    if not session.is_open:
        return _completed_already(request, scope, session)
    if request.method != "POST":
        if session.link is None:
            messages.info(request, "Link a ticket first: what the session did is posted there.")
            return redirect("integrations_ui:session-ticket", session_id)
        start = {"outcome": "", "resolution": session.resolution, "status": "", "notify": ""}
        kept = kept_take(request)
        form = CompleteForm(initial=start | kept)
        return _page(request, scope, session, form, _time_form(scope, session, kept), typed=bool(kept))
    if action in ("change", "statuses"):
        form, time_form = (
            CompleteForm(initial=_typed(request)),
            _time_form(scope, session, request.POST.dict()),
        )
        return _page(request, scope, session, form, time_form, ask=action == "statuses", typed=True)
    form, time_form = CompleteForm(request.POST), _time_form(scope, session, request.POST, bound=True)
    if not (form.is_valid() & time_form.is_valid()):
        return _page(request, scope, session, form, time_form)
    draft = _draft(form, time_form)
    unanswered = ""
    seen = f"{session.link_id}:{selectors.documentation_hash(session)}"
    try:
        if action == "complete" and request.POST.get("seen") == seen:
            try:
                skipped = services.completion_check(scope.tenant, session_id, draft, actor=scope.actor)
            except InvalidInputError as exc:
                if exc.code not in OBJECTIONS:
                    raise
                unanswered = exc.message
            else:
                unit = services.session_complete(
                    scope.tenant, session_id, draft, actor=scope.actor, skipped=skipped
                )
                messages.success(request, _DONE)
                return redirect(f"{reverse('integrations_ui:session', args=[session_id])}#unit-{unit.pk}")
        preview = services.completion_preview(scope.tenant, session_id, draft, actor=scope.actor)
    except services.AlreadyCompletedError:
        return _completed_already(request, scope, selectors.session_get(scope.tenant, session_id))
    except (ServiceError, UnsupportedOperationError) as exc:
        if not isinstance(exc, ServiceError):
            form.add_error(None, str(exc))
        elif not (isinstance(exc, InvalidInputError) and time_form.refused(exc)):
            errors_add(form, exc)
        return _page(request, scope, session, form, time_form)
    objections = [found for part in preview.parts for found in part.objections]
    context = {
        "session": session,
        "form": form,
        "parts": [(part, KINDS.get(part.kind, part.kind)) for part in preview.parts],
        "left_out": [
            {"words": KINDS.get(left.kind, left.kind), "reason": left.reason} for left in preview.left_out
        ],
        "outcome": Outcome(preview.outcome).label,
        "seen": seen,
        "changed": action == "complete" and not unanswered,
        "unanswered": unanswered,
        "carried": hidden(time_form),
        "answers": answers(objections),
        "answer": request.POST.get("answer", ""),
        "crumbs": session_crumbs(session, "Complete"),
    }
    return render(request, "integrations_ui/sessions/complete_preview.html", context)


@require_safe
@has_fragment
@member_page
def time_now(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Answer what only the PSA knows of time: what is there, what can be chosen."""
    session = selectors.session_get(scope.tenant, session_id)
    if not offers(session).time:
        return HttpResponse(status=204)
    found = ticket_time.session_time(scope.tenant, session_id, actor=scope.actor)
    time_form = TimeForm(
        None, zone=selectors.actor_zone(scope.actor), suggested=found, initial=request.GET.dict()
    )
    context = {"session": session, "suggested": found, "time_form": time_form}
    return render(request, "integrations_ui/sessions/_time_now.html", context)


@require_safe
@has_fragment
@member_page
def status_field(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Answer the status field with all statuses of the board, or with a sentence while the PSA is away."""
    session = selectors.session_get(scope.tenant, session_id)
    if session.link is None:
        return HttpResponse(status=204)
    choices = _choices(
        scope, session, request.GET.get("outcome", ""), request.GET.get("status", "")[:100], ask=True
    )
    context = {"session": session, "choices": choices}
    return render(request, "integrations_ui/sessions/_status_field.html", context)


def _page(
    request: HttpRequest,
    scope: Scope,
    session: FlowSession,
    form: CompleteForm,
    time_form: TimeForm,
    *,
    ask: bool = False,
    typed: bool = False,
) -> HttpResponse:
    """Show the form. typed: the text is the person's own, so that no older one takes its place."""
    outcome, chosen = str(form["outcome"].value() or ""), str(form["status"].value() or "")
    context = {
        "session": session,
        "form": form,
        "choices": _choices(scope, session, outcome, chosen, ask=ask),
        "typed": typed,
        "offers": offers(session),
        "time_form": time_form,
        "time_url": reverse("integrations_ui:session-time-now", args=[session.pk]),
        "suggested": time_form.suggested,
        "crumbs": session_crumbs(session, "Complete"),
    }
    if ask and offers(session).time:
        context["suggested"] = ticket_time.session_time(scope.tenant, session.pk, actor=scope.actor)
    status = UNPROCESSABLE if form.errors or time_form.errors else 200
    return render(request, "integrations_ui/sessions/complete.html", context, status=status)


def _completed_already(request: HttpRequest, scope: Scope, session: FlowSession) -> HttpResponse:
    """Show what the first one did. Who clicked twice sees their own; another's text is given back."""
    typed = _typed(request) if request.method == "POST" else {}
    unit = session.unit
    if request.method != "POST":
        return redirect("integrations_ui:session", session.pk)
    said_the_same = (typed["outcome"], typed["resolution"].strip()) == (
        session.outcome,
        session.resolution.strip(),
    )
    if unit is not None and unit.created_by_id == scope.actor.user_id and said_the_same:
        messages.success(request, _DONE)
        return redirect(f"{reverse('integrations_ui:session', args=[session.pk])}#unit-{unit.pk}")
    context = {
        "session": session,
        "unit": unit,
        "typed": typed,
        **board_context(session, session_board(scope, session)),
        "crumbs": session_crumbs(session, "Complete"),
    }
    return render(request, "integrations_ui/sessions/completed_already.html", context, status=CONFLICT)


def _typed(request: HttpRequest) -> dict[str, str]:
    return {
        name: request.POST.get(name, "").replace("\r\n", "\n")
        for name in ("outcome", "resolution", "status", "notify")
    }


def _time_form(scope: Scope, session: FlowSession, values: Any, *, bound: bool = False) -> TimeForm:
    """Return the time form: bound, as typed, or with what the session tells."""
    zone = selectors.actor_zone(scope.actor)
    if session.link is None:
        return TimeForm(values if bound else None, zone=zone, suggested=None)
    found = ticket_time.session_time(scope.tenant, session.pk, actor=scope.actor, ask=False)
    if bound:
        return TimeForm(values, zone=zone, suggested=found)
    times = {"start": local(found.mine.started_at, zone), "end": local(found.mine.ended_at, zone)}
    start = {} if values else time_initial(found)
    return TimeForm(None, zone=zone, suggested=found, initial=times | start | dict(values))


def _draft(form: CompleteForm, time_form: TimeForm) -> services.CompletionDraft:
    values = form.cleaned_data
    return services.CompletionDraft(
        outcome=Outcome(values["outcome"]),
        resolution=values["resolution"],
        status=values["status"] or None,
        notify=_NOTIFY[values["notify"]],
        time=time_form.wish(),
        attach_export=time_form.cleaned_data["attach_export"],
    )


def _choices(scope: Scope, session: FlowSession, outcome: str, chosen: str, *, ask: bool) -> Choices:
    link: Any = session.link
    if link is None:
        return Choices({}, outcome, chosen)
    rules: dict[str, str] = {}
    with suppress(MissingError):  # a deleted connection has none; completing says so
        found = psa_selectors.status_rules(scope.tenant, link.connection_id)
        if link.board_id:
            rules = dict(
                found.filter(board_id=link.board_id, valid=True).values_list("outcome", "status_name")
            )
    if not ask:
        return Choices(rules, outcome, chosen)
    try:
        statuses = psa_selectors.statuses(scope.tenant, link.connection_id, link.board_id)
    except (PsaError, LookupError) as exc:
        return Choices(rules, outcome, chosen, asked=True, away=away_text(exc))
    return Choices(rules, outcome, chosen, statuses, asked=True)
