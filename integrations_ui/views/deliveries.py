"""Owns the page of one delivery, and retry, edit and discard. Taking it back is in `take_back` and `move`."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from integrations_ui.access import member_page
from integrations_ui.back import back_url
from integrations_ui.delivery_rows import attempt_lines, fingerprint, poll_s
from integrations_ui.delivery_story import (
    correction_lines,
    history_lines,
    kin_of,
    offers_of,
    session_url,
)
from integrations_ui.kept import keeps_typed
from integrations_ui.sessions.draft import kept_take
from integrations_ui.sessions.forms import EditDeliveryForm, errors_add
from integrations_ui.sessions.fragments import STOP_POLLING, is_htmx
from integrations_ui.sessions.rows import LATER_S, delivery_row, may_act
from integrations_ui.sessions.tickets import away_text
from psa import selectors, services
from psa.exceptions import ConflictError, InvalidInputError, MissingError, PsaError, ServiceError
from psa.types import Scope

UNPROCESSABLE = 422
REASON_MAX_CHARS = 300


@require_safe
@member_page
def delivery(request: HttpRequest, scope: Scope, delivery_id: int) -> HttpResponse:
    """Show one delivery and everything that happened to it."""
    found = delivery_visible(scope, delivery_id)
    context = _context(scope, found) | {"scope": scope, "crumbs": delivery_crumbs(found)}
    return render(request, "integrations_ui/deliveries/detail.html", context)


@require_safe
@member_page
def delivery_live(request: HttpRequest, scope: Scope, delivery_id: int) -> HttpResponse:
    """Answer the page's part that changes by itself: 204 while it has not, once more when all is settled."""
    found = delivery_visible(scope, delivery_id)
    if not is_htmx(request):
        return redirect("integrations_ui:delivery", delivery_id)
    row = delivery_row(scope, found)
    if _poll_s(found, row) and request.GET.get("seen") == _state(found, row):
        return HttpResponse(status=204)
    context = _context(scope, found) | {"scope": scope, "changed": True}
    status = 200 if context["poll_s"] else STOP_POLLING
    return render(request, "integrations_ui/deliveries/_story.html", context, status=status)


@require_safe
@member_page
def delivery_attempts(request: HttpRequest, scope: Scope, delivery_id: int) -> HttpResponse:
    """Answer the attempts at a delivery, for its row in a list."""
    found = delivery_visible(scope, delivery_id)
    if not is_htmx(request):
        return redirect(f"{reverse('integrations_ui:delivery', args=[delivery_id])}#attempts")
    context = {"attempts": attempt_lines(found)}
    return render(request, "integrations_ui/deliveries/_attempts.html", context)


@require_POST
@member_page
def delivery_retry(request: HttpRequest, scope: Scope, delivery_id: int) -> HttpResponse:
    """Put a delivery back into its lane."""
    found = delivery_visible(scope, delivery_id)
    try:
        services.delivery_retry(scope.tenant, found.pk, scope=scope)
    except ConflictError as exc:
        messages.warning(request, exc.message)
    else:
        messages.success(request, "It is tried again now.")
    return redirect(back_url(request, delivery_url(delivery_id)))


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda delivery_id: ("text",))
@member_page
def delivery_edit(request: HttpRequest, scope: Scope, delivery_id: int) -> HttpResponse:
    """Change the text of a note that could not be posted, and post it in its place."""
    found = delivery_visible(scope, delivery_id)
    if not found.is_note:
        raise MissingError("Only notes have a text.")
    initial = {"text": found.payload.get("text", "")}
    if request.method != "POST":
        initial |= kept_take(request)
    form = EditDeliveryForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            new = services.delivery_edit(scope.tenant, found.pk, scope=scope, text=form.cleaned_data["text"])
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
            return redirect(back_url(request, delivery_url(new.pk)))
    context = {
        "row": delivery_row(scope, found),
        "form": form,
        "title": "Edit and retry",
        "label": "Post this text",
        "back": back_url(request, ""),
        "cancel": back_url(request, delivery_url(delivery_id)),
        "crumbs": delivery_crumbs(found, "Edit and retry"),
    }
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "integrations_ui/deliveries/text.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def delivery_discard(request: HttpRequest, scope: Scope, delivery_id: int) -> HttpResponse:
    """Say what follows, then give a delivery up."""
    found = delivery_visible(scope, delivery_id)
    back = back_url(request, delivery_url(delivery_id))
    if request.method == "POST":
        rest = "continue" if request.POST.get("rest") == "continue" else "discard"
        reason = request.POST.get("reason", "")[:REASON_MAX_CHARS]
        try:
            services.delivery_discard(scope.tenant, found.pk, scope=scope, reason=reason, rest=rest)
        except ServiceError as exc:
            messages.warning(request, exc.message)
        else:
            messages.success(request, "It will not be posted.")
        return redirect(back)
    row = delivery_row(scope, found)
    if not row.can_discard:
        messages.info(request, "It cannot be discarded as it stands now.")
        return redirect(back)
    later = selectors.deliveries(scope.tenant).filter(unit_id=found.unit_id, seq__gt=found.seq)
    later = later.filter(state__in=("ready", "retrying", "dead")).order_by("seq")
    context = {
        "row": row,
        "later": [delivery_row(scope, other) for other in later],
        "back": back_url(request, ""),
        "cancel": back,
        "crumbs": delivery_crumbs(found, "Discard"),
    }
    return render(request, "integrations_ui/deliveries/discard.html", context)


def delivery_visible(scope: Scope, delivery_id: int) -> Any:
    """Return a delivery the person may see: another engineer's is no more there than another tenant's.

    Raises: MissingError.
    """
    if delivery_id >= 2**63:
        raise MissingError("There is no such delivery.")
    found = selectors.delivery_get(scope.tenant, delivery_id)
    if not may_act(scope, found):
        raise MissingError("There is no such delivery.")
    return found


def delivery_url(delivery_id: int) -> str:
    """Return the address of a delivery's page."""
    return reverse("integrations_ui:delivery", args=[delivery_id])


def delivery_crumbs(found: Any, label: str = "") -> list[tuple[str, str]]:
    """Return the way back from a delivery, or from a page below it."""
    home = [("Integrations", reverse("integrations_ui:connections"))]
    if found.connection.deleted_at is None:
        address = reverse("integrations_ui:connection", args=[found.connection_id])
        home += [
            (found.connection.name, address),
            ("Activity", reverse("integrations_ui:activity", args=[found.connection_id])),
        ]
    name = f"Post {found.pk}"
    return [*home, (name, delivery_url(found.pk)), (label, "")] if label else [*home, (name, "")]


def _context(scope: Scope, found: Any) -> dict[str, Any]:
    row = delivery_row(scope, found)
    state = _state(found, row)
    live = reverse("integrations_ui:delivery-live", args=[found.pk])
    return {
        "row": row,
        "attempts": attempt_lines(found),
        "corrections": correction_lines(found),
        "history": history_lines(scope, found),
        "kin": kin_of(scope, found),
        "offers": offers_of(scope, found),
        "session_url": session_url(found),
        "moving": found.payload.get("moving") or {},
        "mailed": bool(found.payload.get("notify")),
        "poll_s": _poll_s(found, row),
        "live_url": f"{live}?seen={state}",
    }


def _state(found: Any, row: Any) -> str:
    marks = (found.kind, found.problem, found.payload.get("corrections"), found.payload.get("moving"))
    return fingerprint([row], marks)


def _poll_s(found: Any, row: Any) -> int:
    """Return when the page asks again: also while a note is on its way to another ticket."""
    return poll_s([row]) or (LATER_S if found.state == "delivered" and "moving" in found.payload else 0)
