"""Who may change a note on its ticket, when, and what is left of a change that failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa import services
from psa.exceptions import (
    ConflictError,
    ConnectFailedError,
    InvalidInputError,
    MissingError,
    ProviderError,
    RateLimitedError,
    RoleError,
)
from psa.models import Connection, Delivery, TicketLink
from psa.outbox.hold import lane_held
from psa.outbox.tests.conftest import NOTES
from psa.outbox.tests.corrections.seen import Post, Run, Stored, is_free, verbs
from psa.provider_pool import provider_for
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, Scope, StatusPart
from resolutionflow.accounts.models import Account

Act = Callable[[Any, int, Scope], Any]
ACTS: dict[str, Act] = {
    "hide": lambda tenant, pk, scope: services.note_hide(tenant, pk, scope=scope),
    "correct": lambda tenant, pk, scope: services.note_correct(tenant, pk, scope=scope, text="new"),
    "remove": lambda tenant, pk, scope: services.note_remove(tenant, pk, scope=scope),
    "double": lambda tenant, pk, scope: services.double_remove(tenant, pk, scope=scope),
}
each_act = pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)


@each_act
def test_only_its_author_or_a_lead_may(shown: Delivery, tenant: Any, act: Act) -> None:
    with pytest.raises(RoleError):
        act(tenant, shown.pk, Scope(tenant, Actor(None, "Ben"), can_post=True))
    act(tenant, shown.pk, Scope(tenant, Actor(None, "Lea"), can_lead=True, can_post=True))


@each_act
def test_another_tenant_finds_nothing(shown: Delivery, sandbox: SandboxServer, act: Act) -> None:
    other = Account.objects.create(name="Other", slug="other")
    before = len(sandbox.requests)
    with pytest.raises(MissingError):
        act(other, shown.pk, Scope(other, Actor(None, "Mallory"), True, True, True))
    assert len(sandbox.requests) == before


@each_act
def test_nothing_is_changed_while_the_lane_is_in_flight(
    shown: Delivery, post: Post, tenant: Any, scope: Scope, sandbox: SandboxServer, act: Act
) -> None:
    other = post("on its way")
    Delivery.objects.filter(pk=other.pk).update(state="unknown")
    before = len(sandbox.requests)
    with pytest.raises(ConflictError) as caught:
        act(tenant, shown.pk, scope)
    assert (caught.value.code, len(sandbox.requests)) == ("in-flight", before)
    assert is_free(shown)


@each_act
def test_two_people_do_not_change_a_ticket_at_once(
    shown: Delivery, tenant: Any, scope: Scope, act: Act
) -> None:
    with lane_held(shown, Actor(None, "Ben"), "hide"), pytest.raises(ConflictError) as caught:
        act(tenant, shown.pk, scope)
    assert caught.value.code == "in-flight"
    act(tenant, shown.pk, scope)


def test_nothing_is_sent_to_a_ticket_while_somebody_changes_it(
    shown: Delivery, post: Post, run: Run, stored: Stored
) -> None:
    with lane_held(shown, Actor(None, "Ben"), "hide"):
        waiting = post("later")
        run()
        waiting.refresh_from_db()
        assert waiting.state == "ready"
    run()
    assert "later" in stored()[-1]["text"]


@each_act
@pytest.mark.parametrize("state", ["ready", "dead", "discarded", "unknown"])
def test_only_what_stands_on_the_ticket_can_be_changed(
    shown: Delivery, tenant: Any, scope: Scope, state: str, act: Act
) -> None:
    Delivery.objects.filter(pk=shown.pk).update(state=state)
    with pytest.raises(ConflictError) as caught:
        act(tenant, shown.pk, scope)
    assert caught.value.code == "not-delivered"


@each_act
def test_a_status_is_no_note(
    tenant: Any, link: TicketLink, actor: Actor, scope: Scope, run: Run, act: Act
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, [StatusPart("In Progress")], actor=actor)
    run()
    with pytest.raises(InvalidInputError) as caught:
        act(tenant, unit.deliveries.get().pk, scope)
    assert caught.value.code == "not-a-note"


@each_act
@pytest.mark.parametrize(
    ("values", "code"),
    [({"state": "disabled"}, "connection-disabled"), ({"deleted_at": timezone.now()}, "connection-deleted")],
)
def test_a_connection_that_is_off_is_not_asked(
    shown: Delivery, tenant: Any, scope: Scope, values: dict[str, Any], code: str, act: Act
) -> None:
    Connection.objects.update(**values)
    with pytest.raises(ConflictError) as caught:
        act(tenant, shown.pk, scope)
    assert caught.value.code == code


@each_act
def test_a_psa_that_asked_for_patience_is_left_alone(
    shown: Delivery, tenant: Any, scope: Scope, sandbox: SandboxServer, act: Act
) -> None:
    Connection.objects.update(not_before=timezone.now() + timedelta(seconds=50))
    before = len(sandbox.requests)
    with pytest.raises(RateLimitedError) as caught:
        act(tenant, shown.pk, scope)
    assert 40 < (caught.value.retry_after_s or 0) <= 50
    assert len(sandbox.requests) == before


@each_act
def test_what_was_certainly_not_done_leaves_no_trace(
    shown: Delivery, tenant: Any, scope: Scope, sandbox: SandboxServer, act: Act
) -> None:
    sandbox.faults.add(method="GET", path=NOTES, kind="status", status=401)
    with pytest.raises(ProviderError):
        act(tenant, shown.pk, scope)
    assert is_free(shown)
    assert (shown.problem, verbs()) == (None, [])


def test_a_psa_that_is_away_is_an_error_and_not_unknown(
    shown: Delivery, tenant: Any, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = provider_for(shown.connection)

    def away(*_args: Any, **_more: Any) -> None:
        raise ConnectFailedError("The PSA cannot be reached.")

    monkeypatch.setattr(provider, "note_change", away)
    with pytest.raises(ConnectFailedError):
        services.note_hide(tenant, shown.pk, scope=scope)
    assert is_free(shown)


def test_a_mistake_of_ours_after_the_write_leaves_a_trace(
    shown: Delivery, tenant: Any, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psa.providers.connectwise.notes._lies_only_in", lambda *_args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        services.note_hide(tenant, shown.pk, scope=scope)
    shown.refresh_from_db()
    assert (shown.problem["code"], "correcting" in shown.payload) == ("correction-unknown", True)
    assert TicketLink.objects.get(pk=shown.link_id).lease_token == ""


def test_a_process_that_died_in_between_holds_the_lane_no_longer_than_its_lease(
    shown: Delivery, post: Post, run: Run, tenant: Any, scope: Scope
) -> None:
    dying = lane_held(shown, scope.actor, "hide")
    dying.__enter__()
    shown.refresh_from_db()
    assert shown.payload["correcting"]["what"] == "hide"
    past = timezone.now() - timedelta(seconds=1)
    TicketLink.objects.filter(pk=shown.link_id).update(lease_expires_at=past)
    later = post("later")
    run()
    later.refresh_from_db()
    assert later.state == "delivered"
    services.note_hide(tenant, shown.pk, scope=scope)
    assert is_free(shown)


def test_a_change_that_outlived_its_lease_is_audited_and_says_so(
    shown: Delivery, tenant: Any, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = provider_for(shown.connection)
    change = provider.note_change

    def slow(*args: Any, **more: Any) -> Any:
        TicketLink.objects.filter(pk=shown.link_id).update(lease_token="somebody-else")
        return change(*args, **more)

    monkeypatch.setattr(provider, "note_change", slow)
    with pytest.raises(ConflictError) as caught:
        services.note_hide(tenant, shown.pk, scope=scope)
    assert caught.value.code == "changed-meanwhile"
    assert verbs() == ["note.hidden"]
    assert TicketLink.objects.get(pk=shown.link_id).lease_token == "somebody-else"
