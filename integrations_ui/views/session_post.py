"""Owns the page that posts a note: the text, who will see it, and the yes."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from integrations_ui.access import member_page
from integrations_ui.kept import keeps_typed
from integrations_ui.sessions.draft import kept_take
from integrations_ui.sessions.forms import NoteForm, errors_add
from integrations_ui.sessions.once import ReusedFormError, form_key, once
from integrations_ui.views.sessions import UNPROCESSABLE, Tab, session_crumbs
from integrations_ui.wording import KINDS
from psa import services as psa_services
from psa.exceptions import PsaError, ServiceError, UnsupportedOperationError
from psa.types import NoteKind, NotePart, PartPreview, Scope
from resolutionflow.sessions import rendering, selectors, services
from resolutionflow.sessions.models import FlowSession

_KEY = re.compile(r"[0-9a-f]{32}")
_ICONS = {
    NoteKind.ANALYSIS: "lock",
    NoteKind.RESOLUTION: "circle-check",
    NoteKind.DISCUSSION: "messages-square",
}
_START = {
    NoteKind.ANALYSIS: "The documentation as it reads now. Change what you like before it is posted.",
    NoteKind.RESOLUTION: "The closing summary. Steps do not belong here: the customer reads it.",
    NoteKind.DISCUSSION: "A word to the customer.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda session_id: ("kind", "text", "notify"))
@member_page
def note(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Write a note (GET, or POST `change`), look at it (POST `preview`), post it (POST `post`)."""
    session = selectors.session_get(scope.tenant, session_id)
    if request.method != "POST":
        if session.link is None:
            messages.info(request, "Link a ticket first: the note goes there.")
            return redirect("integrations_ui:session-ticket", session_id)
        kept = kept_take(request)
        kind = _kind(kept.get("kind") or request.GET.get("kind", ""))
        form = NoteForm(initial={"text": _given(session, kind)} | kept)
        return _page(request, session, kind, form, typed=bool(kept))
    kind = _kind(request.POST.get("kind", ""))
    given = _given(session, kind)
    action = request.POST.get("action", "")
    form = NoteForm(request.POST)
    if action == "change":
        return _page(request, session, kind, NoteForm(initial=_typed(request)), typed=True)
    if not form.is_valid():
        return _page(request, session, kind, form)
    if session.link is None:
        form.add_error(
            None, "The session was taken off its ticket meanwhile. Link one first; the text stays here."
        )
        return _page(request, session, kind, form)
    text, notify = form.cleaned_data["text"], form.cleaned_data["notify"]
    part = NotePart(kind=kind, text=text, notify=notify)
    try:
        parts = psa_services.unit_preview(scope.tenant, session.link.pk, [part], actor=scope.actor)
    except (ServiceError, UnsupportedOperationError) as exc:
        return _refused(request, session, kind, form, exc)
    key = request.POST.get("key", "")
    if action != "post" or not _KEY.fullmatch(key):
        return _preview(request, session, kind, form, parts)
    if request.POST.get("ticket") != str(session.link.pk):
        messages.warning(
            request, "The session was linked to another ticket meanwhile. This is how it would go there."
        )
        return _preview(request, session, kind, form, parts)
    # What was not edited goes as the documentation itself, so that completing does not post it again.
    unchanged = kind is NoteKind.ANALYSIS and rendering.plain_text(text) == rendering.plain_text(given)

    def commit() -> Any:
        return services.note_post(
            scope.tenant,
            session_id,
            actor=scope.actor,
            kind=kind,
            text=None if unchanged else text,
            notify=notify,
        )

    try:
        delivery = once(request, scope, key, {"kind": kind, "text": text, "notify": notify}, commit)
    except ReusedFormError:
        messages.warning(
            request,
            "This page was sent before, with another text. Look below whether you want a second note.",
        )
        return _preview(request, session, kind, form, parts)
    except (ServiceError, UnsupportedOperationError) as exc:
        return _refused(request, session, kind, form, exc)
    messages.success(request, f"The note is on its way to ticket #{session.link.ticket_id}.")
    return redirect(f"{reverse('integrations_ui:session', args=[session_id])}#unit-{delivery.unit_id}")


def _kind(value: str) -> NoteKind:
    """Return the kind of that name; what nobody knows is for staff only."""
    try:
        return NoteKind(value)
    except ValueError:
        return NoteKind.ANALYSIS


def _given(session: FlowSession, kind: NoteKind) -> str:
    """Return the text a note of this kind starts from."""
    if kind is NoteKind.DISCUSSION:
        return ""
    said = rendering.documentation(selectors.session_text(session), timezone.get_current_timezone())
    return said.analysis if kind is NoteKind.ANALYSIS else said.resolution


def _typed(request: HttpRequest) -> dict[str, Any]:
    return {"text": request.POST.get("text", ""), "notify": bool(request.POST.get("notify"))}


def _refused(
    request: HttpRequest, session: FlowSession, kind: NoteKind, form: NoteForm, exc: PsaError
) -> HttpResponse:
    if isinstance(exc, ServiceError):
        errors_add(form, exc)
    else:
        form.add_error(None, str(exc))
    return _page(request, session, kind, form)


def _page(
    request: HttpRequest, session: FlowSession, kind: NoteKind, form: NoteForm, *, typed: bool = False
) -> HttpResponse:
    """Show the form. typed: the text is the person's own, so that no older one takes its place."""
    address = reverse("integrations_ui:session-note", args=[session.pk])
    tabs = [
        Tab(KINDS[other].partition(" (")[0], f"{address}?kind={other}", icon, other is kind)
        for other, icon in _ICONS.items()
    ]
    context = {
        **_shared(session, kind, form),
        "tabs": tabs,
        "typed": typed,
        "start": _START[kind],
        "may_notify": kind.customer_visible,
    }
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "integrations_ui/sessions/note.html", context, status=status)


def _preview(
    request: HttpRequest,
    session: FlowSession,
    kind: NoteKind,
    form: NoteForm,
    parts: list[PartPreview],
) -> HttpResponse:
    context = {**_shared(session, kind, form), "parts": parts, "key": form_key()}
    return render(request, "integrations_ui/sessions/note_preview.html", context)


def _shared(session: FlowSession, kind: NoteKind, form: NoteForm) -> dict[str, Any]:
    return {
        "session": session,
        "kind": kind.value,
        "kind_words": KINDS[kind],
        "form": form,
        "crumbs": session_crumbs(session, "Post a note"),
    }
