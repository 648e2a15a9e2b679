"""Owns taking a message of a PSA: stored raw and answered at once; the worker judges it."""

from __future__ import annotations

import logging
import uuid

from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from psa.conf import psa_settings
from psa.models import CallbackSubscription, WebhookReceipt
from psa.models.callback import ReceiptState, SubscriptionState
from psa.webhooks.store import receipt_store

log = logging.getLogger("psa.webhooks")

SIGNATURE_HEADER = "X-Content-Signature"
UNKNOWN_MAX = 60
"""Calls to unknown addresses one host gets answered in a minute."""
WAITING_MAX = 5_000
"""Messages of one callback that wait to be judged; more are asked to come again."""
WAITING_COUNTED_S = 2.0
"""How long the count of waiting messages is believed."""

_GONE, _TOO_LARGE, _LATER = 404, 413, 429


@csrf_exempt
@require_POST
def receive(request: HttpRequest, secret_id: uuid.UUID, rest: str = "") -> HttpResponse:
    """Store a message and answer 204; an unknown address is 404, a body above the limit 413.

    Nothing in it is believed here.
    """
    found = (
        CallbackSubscription.objects.exclude(state=SubscriptionState.REMOVED)
        .filter(secret_id=secret_id)
        .values_list("pk", flat=True)
        .first()
    )
    if found is None:
        return _refuse_unknown(request)
    most = psa_settings().WEBHOOK_MAX_BYTES
    body = _body(request, most)
    if body is None:
        return HttpResponse(status=_TOO_LARGE)
    if _waiting(found) >= WAITING_MAX:
        return HttpResponse(status=_LATER, headers={"Retry-After": "5"})
    receipt = WebhookReceipt(
        subscription_id=found,
        body=body,
        signature=request.headers.get(SIGNATURE_HEADER, "")[:200],
        path=request.path[:500],
        query=request.META.get("QUERY_STRING", "")[:1000],
    )
    try:
        receipt_store(receipt)
    except DatabaseError as exc:
        # A PSA sends again what it is asked to send again, and nothing after any other failure.
        log.warning("a message could not be stored (%s)", type(exc).__name__)
        return HttpResponse(status=_LATER, headers={"Retry-After": "5"})
    return HttpResponse(status=204)


def _body(request: HttpRequest, most: int) -> bytes | None:
    """Return the body as it came, None for one that is larger than allowed."""
    # Never `request.body`: its own limit is an error page, and it reads everything first.
    body: bytes = request.read(most + 1)
    return body if len(body) <= most else None


def _refuse_unknown(request: HttpRequest) -> HttpResponse:
    """Answer a call to an address nobody has; only such calls are counted against their sender."""
    key = f"psa-webhook-unknown:{request.META.get('REMOTE_ADDR', '')}"
    cache.add(key, 0, 60)
    try:
        calls = cache.incr(key)
    except ValueError:  # it expired in between
        calls = 1
    if calls > UNKNOWN_MAX:
        return HttpResponse(status=_LATER, headers={"Retry-After": "60"})
    return HttpResponse(status=_GONE)


def _waiting(subscription_id: int) -> int:
    """Return how many messages of a callback wait, as counted a moment ago."""
    key = f"psa-webhook-waiting:{subscription_id}"
    known: int | None = cache.get(key)
    if known is None:
        waiting = WebhookReceipt.objects.filter(subscription_id=subscription_id, state=ReceiptState.RECEIVED)
        known = waiting[: WAITING_MAX + 1].count()
        cache.set(key, known, WAITING_COUNTED_S)
    return known
