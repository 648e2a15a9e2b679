"""Two real transactions at once: whoever waits for a lock gets it, and nobody is thrown out by a deadlock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.db import connection as database

from psa import services
from psa.database import database_now
from psa.models import Delivery, TicketLink
from psa.outbox.claim import claim_due
from psa.outbox.lanes import lane_lock
from psa.types import Actor, NoteKind, NotePart

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("database.vendor == 'sqlite'", reason="SQLite has one lock for everything"),
]

Post = Callable[..., Delivery]


def test_a_claim_and_a_post_to_the_same_ticket_do_not_lock_each_other_out(
    tenant: Any, post: Post, link: TicketLink, actor: Actor
) -> None:
    post("due already")
    holds_lane, claims = threading.Event(), threading.Event()
    errors: list[DatabaseError] = []

    def post_meanwhile() -> None:
        """Hold the lane until the claim waits for it, then point at the connection the claim holds."""
        try:
            with transaction.atomic():
                lane_lock(link.pk)
                holds_lane.set()
                claims.wait(5)
                threading.Event().wait(0.3)
                part = NotePart(NoteKind.ANALYSIS, "posted meanwhile")
                services.unit_enqueue(tenant, link.pk, [part], actor=actor)
        except DatabaseError as exc:
            errors.append(exc)
        finally:
            database.close()

    poster = threading.Thread(target=post_meanwhile)
    poster.start()
    holds_lane.wait(5)
    claims.set()
    taken = claim_due(database_now(), 1)
    poster.join()
    assert errors == []
    assert len(taken) == 1
    assert Delivery.objects.count() == 2
