"""Owns what is kept when something went wrong: rows, attempts and what the PSA saw, of each suspect."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from bench.chaos.sandboxes import Sandbox
from psa.models import Connection, Delivery, DeliveryAttempt, TicketLink

SUSPECTS_MAX = 50


def evidence_write(folder: Path, markers: Collection[str], sandboxes: Sequence[Sandbox]) -> Path:
    """Write what is known about the deliveries with these markers, and return the file."""
    seen = [row for sandbox in sandboxes for row in sandbox.requests_seen()]
    facts: dict[str, Any] = {
        "connections": list(Connection.objects.values("id", "state", "problem", "failures", "not_before")),
        "deliveries": [
            _facts(delivery, seen) for delivery in Delivery.objects.filter(marker__in=markers)[:SUSPECTS_MAX]
        ],
    }
    path = folder / "evidence.json"
    path.write_text(json.dumps(facts, cls=DjangoJSONEncoder, indent=1, ensure_ascii=False))
    return path


def _facts(delivery: Delivery, seen: list[dict[str, Any]]) -> dict[str, Any]:
    names = [field.attname for field in Delivery._meta.concrete_fields if field.name != "payload"]
    calls = [
        {"at": row["at"], "method": row["method"], "status": row["status"], "fault": row["fault"]}
        for row in seen
        if delivery.marker in row["body"] or delivery.marker.removeprefix("Ref ") in row["query"]
    ]
    return {
        "delivery": {name: getattr(delivery, name) for name in names},
        "link": TicketLink.objects.filter(pk=delivery.link_id).values().first(),
        "attempts": list(DeliveryAttempt.objects.filter(delivery=delivery).values()),
        "calls": calls,
    }
