"""What the state machine and the crash points found, each as a plain story."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa import services
from psa.exceptions import ConflictError
from psa.models import Connection, Delivery, TicketLink
from psa.outbox import dispatch
from psa.outbox.tests.conftest import NOTES
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, Scope, StatusPart

Post = Callable[..., Delivery]
Run = Callable[..., None]
Stored = Callable[[], list[dict[str, Any]]]

LONG_AGO = timedelta(days=9)


def test_a_note_older_than_its_age_limit_is_delivered_when_a_person_retries_it(
    post: Post, run: Run, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "DELIVERY_MAX_ATTEMPTS": 1}
    sandbox.faults.add("status", method="POST", path=NOTES, status=503, count=1)
    delivery = post()
    for _ in range(3):
        run(later=True)
    Delivery.objects.update(created_at=timezone.now() - LONG_AGO)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.sends) == ("dead", 1)
    settings.PSA = {**settings.PSA, "DELIVERY_MAX_ATTEMPTS": 8}
    services.delivery_retry(tenant, delivery.pk, scope=scope)
    for _ in range(3):
        run(later=True)
    delivery.refresh_from_db()
    # Its looks come first; after them it must be sent, not called too old again.
    assert (delivery.state, len(stored())) == ("delivered", 1)


def test_the_time_a_note_was_held_is_no_age_when_a_person_lets_it_run(
    post: Post, run: Run, tenant: Any, scope: Scope, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", method="POST", path=NOTES, status=403, count=1)
    delivery = post()
    run()
    Delivery.objects.update(
        created_at=timezone.now() - LONG_AGO, held_since=timezone.now() - LONG_AGO + timedelta(minutes=1)
    )
    services.delivery_retry(tenant, delivery.pk, scope=scope)
    sandbox.faults.add("status", method="POST", path=NOTES, status=429, count=1)
    run()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.held_by) == ("ready", "")


def test_a_look_that_is_refused_tells_nothing_about_the_note(
    post: Post, run: Run, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("drop_after", method="POST", path=NOTES, count=1)
    sandbox.faults.add("status", method="GET", path=NOTES, status=400)
    delivery = post()
    run(later=True)
    delivery.refresh_from_db()
    # It stands on the ticket: nobody may be told that it was refused, or be let to discard it.
    assert delivery.state == "unknown"
    with pytest.raises(ConflictError, match="checked"):
        services.delivery_discard(tenant, delivery.pk, scope=scope)
    sandbox.faults.clear()
    run(later=True)
    delivery.refresh_from_db()
    assert (delivery.state, len(stored())) == ("delivered", 1)


def test_what_is_given_back_unsent_lets_an_edited_note_before_it_run(
    post: Post,
    run: Run,
    tenant: Any,
    link: TicketLink,
    actor: Actor,
    scope: Scope,
    sandbox: SandboxServer,
    stored: Stored,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox.faults.add("status", method="POST", path=NOTES, status=400, count=1)
    refused = post("refused")
    run()
    Connection.objects.update(features=[{"feature": "status", "status": "denied", "refused": True}])
    services.unit_enqueue(tenant, link.pk, [StatusPart("Closed")], actor=actor)
    members_for = dispatch.members_for

    def edited_meanwhile(deliveries: list[Delivery]) -> Any:
        services.delivery_edit(tenant, refused.pk, scope=scope, text="better text")
        return members_for(deliveries)

    with monkeypatch.context() as patched:
        patched.setattr(dispatch, "members_for", edited_meanwhile)
        assert dispatch.claims_take(timezone.now(), 4) == []
    run(later=True)
    # The status waits for a permission; the note before it in the lane does not.
    assert ["better text" in note["text"] for note in stored()] == [True]
