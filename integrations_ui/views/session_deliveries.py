"""Owns what people do with a delivery on the session page: retry, edit and retry, discard."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from integrations_ui.access import member_page
from integrations_ui.kept import keeps_typed
from integrations_ui.sessions.draft import kept_take
from integrations_ui.sessions.forms import EditDeliveryForm, errors_add
from integrations_ui.sessions.rows import delivery_row, may_act
from integrations_ui.sessions.tickets import away_text
from integrations_ui.views.sessions import UNPROCESSABLE, session_crumbs
from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.exceptions import ConflictError, InvalidInputError, MissingError, PsaError
from psa.types import Scope
from resolutionflow.sessions import selectors
from resolutionflow.sessions.models import FlowSession


@require_POST
@member_page
def retry(request: HttpRequest, scope: Scope, session_id: int, delivery_id: int) -> HttpResponse:
    """Put a delivery back into its lane."""
    session, delivery = _found(scope, session_id, delivery_id)
    try:
        psa_services.delivery_retry(scope.tenant, delivery.pk, scope=scope)
    except ConflictError as exc:
        messages.warning(request, exc.message)
    else:
        messages.success(request, "It is tried again now.")
    return _back(session)


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda session_id, delivery_id: ("text",))
@member_page
def edit(request: HttpRequest, scope: Scope, session_id: int, delivery_id: int) -> HttpResponse:
    """Change the text of a note that could not be posted, and post it in its place."""
    session, delivery = _found(scope, session_id, delivery_id)
    if not delivery.is_note:
        raise MissingError("Only notes have a text.")
    initial = {"text": delivery.payload.get("text", "")}
    if request.method != "POST":
        initial |= kept_take(request)
    form = EditDeliveryForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            psa_services.delivery_edit(scope.tenant, delivery.pk, scope=scope, text=form.cleaned_data["text"])
        except InvalidInputError as exc:
            errors_add(form, exc)
        except ConflictError as exc:
            form.add_error(None, exc.message)
        except (PsaError, LookupError) as exc:
            form.add_error(
                None, f"{away_text(exc)} We have to see first whether the old text is there. Try again."
            )
        else:
            messages.success(request, "The new text takes the place of the old one.")
            return _back(session)
    context = {
        "session": session,
        "row": delivery_row(scope, delivery),
        "form": form,
        "crumbs": session_crumbs(session, "Edit and retry"),
    }
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "integrations_ui/sessions/delivery_edit.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def discard(request: HttpRequest, scope: Scope, session_id: int, delivery_id: int) -> HttpResponse:
    """Say what follows, then give a delivery up."""
    session, delivery = _found(scope, session_id, delivery_id)
    later = _later(scope, delivery)
    if request.method == "POST":
        rest = "continue" if request.POST.get("rest") == "continue" else "discard"
        try:
            psa_services.delivery_discard(
                scope.tenant, delivery.pk, scope=scope, reason=request.POST.get("reason", "")[:300], rest=rest
            )
        except ConflictError as exc:
            messages.warning(request, exc.message)
        else:
            messages.success(request, "It will not be posted.")
        return _back(session)
    context = {
        "session": session,
        "row": delivery_row(scope, delivery),
        "later": [delivery_row(scope, other) for other in later],
        "crumbs": session_crumbs(session, "Discard"),
    }
    return render(request, "integrations_ui/sessions/discard.html", context)


def _found(scope: Scope, session_id: int, delivery_id: int) -> tuple[FlowSession, Any]:
    """Return a session and one of its deliveries, as far as the person may change it.

    Raises: MissingError, also for another engineer's delivery, as the REST API has it.
    """
    session = selectors.session_get(scope.tenant, session_id)
    delivery = psa_selectors.delivery_get(scope.tenant, delivery_id)
    if delivery.unit.origin != session.origin or not may_act(scope, delivery):
        raise MissingError("There is no such delivery.")
    return session, delivery


def _later(scope: Scope, delivery: Any) -> list[Any]:
    """Return what waits behind a delivery in its unit."""
    rows = psa_selectors.deliveries(scope.tenant).filter(unit_id=delivery.unit_id, seq__gt=delivery.seq)
    return list(rows.filter(state__in=("ready", "retrying", "dead")).order_by("seq"))


def _back(session: FlowSession) -> HttpResponse:
    return redirect(f"{reverse('integrations_ui:session', args=[session.pk])}#deliveries")
