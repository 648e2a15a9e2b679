"""Owns taking back what stands on a ticket: hide a note, correct it, remove it, remove its double.

All of it is done at once, not queued: the PSA is asked while the person waits. Moving a note is `move`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from integrations_ui.access import member_page
from integrations_ui.delivery_story import offers_of
from integrations_ui.kept import keeps_typed
from integrations_ui.sessions.draft import kept_take
from integrations_ui.sessions.forms import EditDeliveryForm, errors_add
from integrations_ui.sessions.rows import delivery_row
from integrations_ui.sessions.tickets import away_text
from integrations_ui.views.deliveries import UNPROCESSABLE, delivery_crumbs, delivery_url, delivery_visible
from psa import services
from psa.exceptions import ConflictError, InvalidInputError, PsaError
from psa.services import Corrected
from psa.types import Scope


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def hide(request: HttpRequest, scope: Scope, delivery_id: int) -> HttpResponse:
    """Ask once, then make a note internal."""
    found = delivery_visible(scope, delivery_id)
    if request.method == "POST":
        return _do(request, scope, found, services.note_hide, "Only staff can read it now.")
    return _ask(request, scope, found, "hide", "Hide from customer")


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def remove(request: HttpRequest, scope: Scope, delivery_id: int) -> HttpResponse:
    """Ask once, then take a note off its ticket."""
    found = delivery_visible(scope, delivery_id)
    if request.method == "POST":
        return _do(request, scope, found, services.note_remove, "It is off the ticket.")
    return _ask(request, scope, found, "remove", "Remove")


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def remove_extra(request: HttpRequest, scope: Scope, delivery_id: int) -> HttpResponse:
    """Ask once, then remove what a note left on its ticket beyond the first."""
    found = delivery_visible(scope, delivery_id)
    if request.method == "POST":
        return _do(request, scope, found, services.double_remove, "It stands on the ticket once now.")
    return _ask(request, scope, found, "remove_extra", "Remove the extra note")


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda delivery_id: ("text",))
@member_page
def correct(request: HttpRequest, scope: Scope, delivery_id: int) -> HttpResponse:
    """Give a note on its ticket another text."""
    found = delivery_visible(scope, delivery_id)
    initial = {"text": found.payload.get("text", "")}
    if request.method != "POST":
        initial |= kept_take(request)
    form = EditDeliveryForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            corrected = services.note_correct(
                scope.tenant, found.pk, scope=scope, text=form.cleaned_data["text"]
            )
        except InvalidInputError as exc:
            errors_add(form, exc)
        except (PsaError, LookupError) as exc:
            form.add_error(None, refusal(exc))
        else:
            tell(request, corrected, "The note has its new text.")
            return redirect(delivery_url(found.pk))
    elif request.method != "POST" and not offers_of(scope, found).correct:
        return _not_offered(request, found)
    context = {
        "row": delivery_row(scope, found),
        "form": form,
        "title": "Correct the note on the ticket",
        "label": "Correct it",
        "corrects": True,
        "cancel": delivery_url(found.pk),
        "crumbs": delivery_crumbs(found, "Correct"),
    }
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "integrations_ui/deliveries/text.html", context, status=status)


def tell(request: HttpRequest, corrected: Corrected, done: str) -> None:
    """Say what came of a change: done, or what the PSA refused and what was queued instead."""
    refused = corrected.replacement is not None and corrected.delivery.state == "delivered"
    if refused:
        messages.warning(request, corrected.notice or "The PSA refused it.")
        return
    messages.success(request, f"{done} {corrected.notice}" if corrected.notice else done)


def refusal(exc: PsaError | LookupError) -> str:
    """Return why a note was not changed, as sentences for a person."""
    sentence = away_text(exc)
    # A conflict and an unknown outcome say themselves what to do.
    settled = isinstance(exc, ConflictError | InvalidInputError) or "Do the same again" in sentence
    return sentence if settled else f"{sentence} Nothing was changed."


def _do(
    request: HttpRequest, scope: Scope, found: Any, act: Callable[..., Corrected], done: str
) -> HttpResponse:
    try:
        corrected = act(scope.tenant, found.pk, scope=scope)
    except (PsaError, LookupError) as exc:
        messages.error(request, refusal(exc))
    else:
        tell(request, corrected, done)
    return redirect(delivery_url(found.pk))


def _ask(request: HttpRequest, scope: Scope, found: Any, what: str, title: str) -> HttpResponse:
    if not getattr(offers_of(scope, found), what):
        return _not_offered(request, found)
    context = {
        "row": delivery_row(scope, found),
        "what": what,
        "title": title,
        "mailed": bool(found.payload.get("notify")),
        "cancel": delivery_url(found.pk),
        "crumbs": delivery_crumbs(found, title),
    }
    return render(request, "integrations_ui/deliveries/take_back.html", context)


def _not_offered(request: HttpRequest, found: Any) -> HttpResponse:
    messages.info(request, "This cannot be done any more, or not with this post.")
    return redirect(delivery_url(found.pk))
