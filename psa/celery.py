"""Owns how a host's Celery app is set up for the outbox. Needs the extra `celery`; only hosts import this."""

from __future__ import annotations

from typing import Any

from celery import Celery

SWEEP_EVERY_S = 1.0
"""How often beat looks for what is due: retries, looks, and lanes whose kick was lost."""
JOBS_EVERY_S = 2.0
CHANGES_EVERY_S = 1.0
"""How often messages of PSAs and changed tickets are looked for."""
REDELIVERY_S = 600
"""After so long Redis hands out again what a worker took and lost. A task works its lane for a minute."""


def configure(app: Celery, *, broker_url: str, queue: str = "psa") -> Celery:
    """Return the app set up for deliveries: late acknowledgement, one message at a time, JSON only.

    Beat gets the sweep and the periodic jobs.
    """
    app.conf.update(
        broker_url=broker_url,
        broker_connection_timeout=3,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": REDELIVERY_S} if "redis" in broker_url else {},
        task_default_queue=queue,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        imports=["psa.outbox.celery"],
        beat_schedule={
            "psa-sweep": _every(SWEEP_EVERY_S, "psa.sweep"),
            "psa-jobs": _every(JOBS_EVERY_S, "psa.jobs"),
            "psa-changes": _every(CHANGES_EVERY_S, "psa.changes"),
        },
    )
    return app


def _every(seconds: float, task: str) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"expires": 5 * seconds}}
