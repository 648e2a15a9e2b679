"""What the admin does to deliveries: retry and discard, asked first, with the words of the services."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from psa.models import AuditEntry, Delivery
from psa.tests.conftest import World

LIST = "/admin/psa/delivery/"


@pytest.fixture
def owner(ours: World) -> Client:
    client = Client()
    client.force_login(ours.owner)
    return client


def address(delivery: Delivery, name: str) -> str:
    return reverse(f"admin:psa_delivery_{name}", args=[delivery.pk])


def stored(delivery: Delivery) -> Delivery:
    return Delivery.objects.get(pk=delivery.pk)


def follows(world: World, state: str = "ready") -> Delivery:
    """Store a delivery behind the dead one, in the same unit."""
    return Delivery.objects.create(
        tenant=world.account,
        connection=world.connection,
        link=world.link,
        unit=world.unit,
        kind="status",
        seq=2,
        payload={"status": "Completed"},
        state=state,
        due_at=world.delivery.due_at,
        created_by_name="x",
    )


def verbs() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True))[1:]


@pytest.mark.parametrize("name", ["retry", "discard"])
def test_page_asks_and_changes_nothing(owner: Client, ours: World, name: str) -> None:
    assert address(ours.delivery, name) in owner.get(address(ours.delivery, "change")).content.decode()
    chosen = {"action": name, "_selected_action": [ours.delivery.pk]}
    for page in (owner.get(address(ours.delivery, name)), owner.post(LIST, chosen)):
        assert page.status_code == 200
        assert "for ticket #1001 Northwind printer: Northwind spooler restarted." in page.content.decode()
    assert (stored(ours.delivery).state, verbs()) == ("dead", [])


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        ("dead", {"retry", "discard"}),
        ("retrying", {"retry", "discard"}),
        ("ready", {"discard"}),
        ("sending", set()),
        ("unknown", set()),
        ("delivered", set()),
        ("discarded", set()),
    ],
)
def test_buttons_are_those_that_fit(owner: Client, ours: World, state: str, offered: set[str]) -> None:
    Delivery.objects.update(state=state)
    shown = owner.get(address(ours.delivery, "change")).content.decode()
    assert {name for name in ("retry", "discard") if address(ours.delivery, name) in shown} == offered


def test_dead_one_is_retried(owner: Client, ours: World) -> None:
    answer = owner.post(address(ours.delivery, "retry"), follow=True)
    assert answer.redirect_chain == [(address(ours.delivery, "change"), 302)]
    assert "Put back into the queue." in answer.content.decode()
    assert (stored(ours.delivery).state, verbs()) == ("ready", ["delivery.retried"])
    assert AuditEntry.objects.latest("pk").actor == ours.owner


def test_dead_one_is_discarded_with_a_reason_and_what_follows(owner: Client, ours: World) -> None:
    later = follows(ours)
    filled = {"reason": "The customer called.", "rest": "discard"}
    assert (
        "It will not be posted."
        in owner.post(address(ours.delivery, "discard"), filled, follow=True).content.decode()
    )
    assert [stored(row).state for row in (ours.delivery, later)] == ["discarded", "discarded"]
    assert stored(ours.delivery).discard_reason == "The customer called."
    assert verbs() == ["delivery.discarded", "delivery.discarded"]


def test_what_follows_is_posted_where_that_was_chosen(owner: Client, ours: World) -> None:
    later = follows(ours)
    owner.post(address(ours.delivery, "discard"), {"reason": "", "rest": "continue"})
    assert [stored(row).state for row in (ours.delivery, later)] == ["discarded", "ready"]
    assert stored(ours.delivery).discard_reason == "Discarded by Northwind-owner."


def test_reason_that_is_too_long_is_asked_for_again(owner: Client, ours: World) -> None:
    answer = owner.post(address(ours.delivery, "discard"), {"reason": "x" * 301, "rest": "discard"})
    assert (answer.status_code, stored(ours.delivery).state) == (200, "dead")
    assert "at most 300 characters" in answer.content.decode()


def test_list_tells_for_each_what_came_of_it(owner: Client, ours: World, theirs: World) -> None:
    later = follows(ours, state="delivered")
    chosen = {"action": "retry", "_selected_action": [ours.delivery.pk, later.pk, theirs.delivery.pk]}
    assert stored(ours.delivery).state == "dead"
    shown = owner.post(LIST, chosen | {"sure": "yes"}, follow=True).content.decode()
    assert f"Internal note {ours.delivery.pk}: Put back into the queue." in shown
    assert f"Status {later.pk}: Only a delivery that failed or waits" in shown
    assert "1 of the chosen ones cannot be found any more." in shown
    assert (stored(ours.delivery).state, stored(theirs.delivery).state) == ("ready", "dead")


def test_list_discards_all_for_one_reason(owner: Client, ours: World) -> None:
    later = follows(ours)
    chosen = {"action": "discard", "_selected_action": [ours.delivery.pk, later.pk]}
    filled = {"reason": "Ticket was a test.", "rest": "continue", "sure": "yes"}
    shown = owner.post(LIST, chosen | filled, follow=True).content.decode()
    assert f"Status {later.pk}, Internal note {ours.delivery.pk}: Discarded." in shown
    assert {row.discard_reason for row in Delivery.objects.all()} == {"Ticket was a test."}


def test_what_is_being_sent_is_not_discarded(owner: Client, ours: World) -> None:
    Delivery.objects.update(state="sending")
    filled = {"reason": "", "rest": "discard"}
    shown = owner.post(address(ours.delivery, "discard"), filled, follow=True).content.decode()
    assert "It is being sent or checked right now" in shown
    assert (stored(ours.delivery).state, verbs()) == ("sending", [])


@pytest.mark.parametrize("name", ["retry", "discard"])
def test_delivery_of_another_tenant_is_out_of_reach(
    owner: Client, theirs: World, name: str, ours: World
) -> None:
    answer = owner.post(address(theirs.delivery, name), {"reason": "", "rest": "discard"})
    assert (answer.status_code, answer.headers["Location"]) == (302, LIST)
    assert stored(theirs.delivery).state == "dead"
