"""Things that happen at the same time: each test forces the unlucky order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from psa import services
from psa.exceptions import ConflictError
from psa.models import Connection, Delivery, DeliveryAttempt, MemberMapping, TicketLink
from psa.outbox import claim, finish, health
from psa.outbox.finish import Finished
from psa.outbox.lanes import lanes_mend
from psa.outbox.outcome import Next, Outcome
from psa.outbox.tests.conftest import NOTES
from psa.outbox.worker import Worker
from psa.provider_pool import config_of, provider_for
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.services import connections, deliveries
from psa.types import Actor, Endpoint, NoteKind, NotePart, ProbeResult, Scope, StatusPart

Post = Callable[..., Delivery]
Run = Callable[..., None]
Stored = Callable[[], list[dict[str, Any]]]


def test_a_probe_that_began_before_a_change_changes_nothing(connection: Connection) -> None:
    old = Connection.objects.get()
    Connection.objects.update(site="new.example", endpoint=None, config_version=9, state="unverified")
    health.probed(
        old, Endpoint(old.site, "http://old.example/apis/3.0"), ProbeResult("1", ()), timezone.now()
    )
    health.probe_failed(old, ConflictError("late"), timezone.now())
    connection.refresh_from_db()
    assert (connection.endpoint, connection.state, connection.config_version) == (None, "unverified", 9)


def test_keys_never_go_where_another_site_led(connection: Connection) -> None:
    Connection.objects.update(site="new.example")
    connection.refresh_from_db()
    assert config_of(connection).endpoint is None


def test_a_change_that_overlaps_a_deletion_brings_no_secret_back(
    tenant: Any, connection: Connection, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = dict(connection.credentials)

    def slow_probe(*_args: Any) -> None:
        services.connection_delete(tenant, connection.pk, actor=actor)

    monkeypatch.setattr(connections, "_probed", slow_probe)
    with pytest.raises(ConflictError) as caught:
        services.connection_update(
            tenant, connection.pk, actor=actor, credentials={**keys, "public_key": "another"}
        )
    assert caught.value.code == "changed-meanwhile"
    connection.refresh_from_db()
    assert dict(connection.credentials) == {}


@pytest.mark.parametrize("text", ["nul \x00", "surrogate \ud800", "long " * 300])
def test_what_a_psa_answers_never_stops_a_worker(text: str, post: Post, connection: Connection) -> None:
    delivery = post()
    [claimed] = claim.claim_due(timezone.now(), 1)
    taken = claim.claim_of(claimed, provider_for(connection), None, timezone.now())
    outcome = Outcome(Next.DEAD, "psa-refused", text, text, external_id=text, vendor_text=text)
    finish.finish([Finished(taken, outcome, timezone.now(), 1)], timezone.now())
    delivery.refresh_from_db()
    assert delivery.state == "dead"


def test_a_result_that_cannot_be_written_costs_the_others_nothing(
    post: Post, tenant: Any, connection: Connection, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = post("bad")
    link = services.ticket_link(tenant, connection.pk, "57001")
    good = services.unit_enqueue(tenant, link.pk, [NotePart(NoteKind.ANALYSIS, "good")], actor=actor)
    real = finish._write

    def write(row: Finished, *args: Any) -> Any:
        if row.claim.delivery_id == bad.pk:
            raise ValueError("cannot be written")
        return real(row, *args)

    monkeypatch.setattr(finish, "_write", write)
    Worker(4).run(once=True)
    assert good.deliveries.get().state == "delivered"
    bad.refresh_from_db()
    # Its lease runs out, then it is looked up.
    assert (bad.state, TicketLink.objects.get(pk=bad.link_id).lease_token != "") == ("sending", True)


def test_what_was_discarded_by_force_while_it_was_sent_stays_discarded(
    post: Post, tenant: Any, connection: Connection, actor: Actor
) -> None:
    delivery = post()
    [claimed] = claim.claim_due(timezone.now(), 1)
    taken = claim.claim_of(claimed, provider_for(connection), None, timezone.now())
    services.connection_delete(tenant, connection.pk, actor=actor, force=True)
    finish.finish([Finished(taken, Outcome(Next.UNKNOWN, "x", sent=True), timezone.now(), 1)], timezone.now())
    delivery.refresh_from_db()
    delivery.unit.refresh_from_db()
    assert (delivery.state, delivery.unit.state, DeliveryAttempt.objects.count()) == (
        "discarded",
        "discarded",
        1,
    )


def test_an_unknown_note_is_looked_up_even_when_its_author_is_no_longer_mapped(
    post: Post,
    run: Run,
    stored: Stored,
    sandbox: SandboxServer,
    tenant: Any,
    connection: Any,
    user: Any,
    settings: Any,
) -> None:
    mapping = MemberMapping.objects.create(
        tenant=tenant, connection=connection, user=user, user_name="E", member_id="101", member_name="M"
    )
    settings.PSA = {**settings.PSA, "UNMAPPED_AUTHOR": "hold", "RECONCILE_LOOKS_S": [60.0, 60.0]}
    sandbox.faults.add("drop_after", method="POST", path=NOTES, count=1)
    delivery = post()
    run()
    mapping.active = False
    mapping.save()
    run(later=True)
    delivery.refresh_from_db()
    assert (delivery.state, len(stored())) == ("delivered", 1)


def test_a_note_held_for_a_permission_can_be_retried_by_a_person(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer, tenant: Any, scope: Scope
) -> None:
    sandbox.faults.add("status", method="POST", path=NOTES, status=403, count=1)
    delivery = post()
    run()
    services.delivery_retry(tenant, delivery.pk, scope=scope)
    run()
    assert len(stored()) == 1


def test_a_discard_that_comes_too_late_leaves_the_rest_of_the_unit(
    tenant: Any, link: TicketLink, actor: Actor, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [NotePart(NoteKind.ANALYSIS, "x"), StatusPart("Closed")]
    unit = services.unit_enqueue(tenant, link.pk, parts, actor=actor)
    first = unit.deliveries.order_by("seq").first()

    def claimed_meanwhile(_delivery: Delivery) -> None:
        Delivery.objects.filter(pk=first.pk).update(state="sending")

    monkeypatch.setattr(deliveries, "_require_definite", claimed_meanwhile)
    with pytest.raises(ConflictError, match="being sent"):
        services.delivery_discard(tenant, first.pk, scope=scope)
    assert "discarded" not in unit.deliveries.values_list("state", flat=True)


def test_a_lane_in_which_nothing_could_run_is_mended(post: Post, run: Run, stored: Stored) -> None:
    post("stranded")
    Delivery.objects.update(held_by="earlier")
    assert lanes_mend(timezone.now()) == 1
    assert lanes_mend(timezone.now()) == 0
    run()
    assert len(stored()) == 1
