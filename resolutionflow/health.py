"""Owns the two probes of a load balancer. Both answer without a login and tell nothing of a tenant."""

from __future__ import annotations

from typing import Any

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from psa import selectors

WORKER_SEEN_WITHIN_S = 60
"""A worker that has not been seen for longer counts as gone."""


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as this process serves requests."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers and a worker is alive, else 503 with the reasons.

    Shape: {"status": "ok", "database": true, "oldest_due_age_s": null, "worker_seen_age_s": 1.2,
        "reasons": []}
    """
    answer: dict[str, Any] = {"database": True, "oldest_due_age_s": None, "worker_seen_age_s": None}
    reasons: list[str] = []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        queue = selectors.queue_health()
    except Error:
        answer["database"] = False
        reasons.append("The database does not answer.")
    else:
        answer["oldest_due_age_s"] = queue.oldest_due_age_s
        answer["worker_seen_age_s"] = queue.worker_seen_age_s
        if queue.worker_seen_age_s is None or queue.worker_seen_age_s > WORKER_SEEN_WITHIN_S:
            reasons.append(f"No worker was seen within {WORKER_SEEN_WITHIN_S} s. Start manage.py psa_worker.")
    answer |= {"status": "unready" if reasons else "ok", "reasons": reasons}
    return JsonResponse(answer, status=503 if reasons else 200)
