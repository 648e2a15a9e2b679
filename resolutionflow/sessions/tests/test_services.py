"""Tests of what sessions promise, below the REST API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from psa.exceptions import ConflictError, InvalidInputError
from psa.types import Actor, NoteKind
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession, SessionStep
from resolutionflow.sessions.tests.conftest import STEP_BODY, SUMMARY, kinds, texts

# own rows


def test_steps_are_numbered_from_one(account: Account, actor: Actor, session: FlowSession) -> None:
    services.step_add(account, session.pk, actor=actor, body="Second")
    assert [step.position for step in SessionStep.objects.filter(session=session)] == [1, 2]


def test_step_remembers_its_author_by_name(session: FlowSession, engineer: User) -> None:
    engineer.delete()
    step = session.steps.get()
    assert (step.author, step.author_name) == (None, "Eva Engineer")


def test_position_is_unique_in_a_session(session: FlowSession) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        SessionStep.objects.create(session=session, position=1, body="again")


@pytest.mark.parametrize(
    "values",
    [
        {"state": "completed"},
        {"outcome": "resolved"},
        {"completed_at": timezone.now()},
        {"linked_at": timezone.now()},
        {"title": ""},
        {"state": "completed", "outcome": "unheard", "completed_at": timezone.now()},
        {
            "state": "completed",
            "outcome": "resolved",
            "completed_at": timezone.now() - timedelta(days=400),
        },
    ],
)
def test_half_a_change_is_refused_by_the_database(session: FlowSession, values: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        FlowSession.objects.filter(pk=session.pk).update(**values)


def test_stored_text_holds_no_control_characters(
    account: Account, actor: Actor, session: FlowSession
) -> None:
    step = services.step_add(account, session.pk, actor=actor, body="a\r\nb\x07\x00 🎉")
    assert step.body == "a\nb 🎉"


@pytest.mark.parametrize("body", ["", " \n\t", "\x07"])
def test_step_without_a_body_is_refused(
    account: Account, actor: Actor, session: FlowSession, body: str
) -> None:
    with pytest.raises(InvalidInputError) as found:
        services.step_add(account, session.pk, actor=actor, body=body)
    assert list(found.value.fields) == ["body"]


def test_steps_never_grow_beyond_what_fits_on_a_ticket(
    account: Account, actor: Actor, session: FlowSession
) -> None:
    services.step_add(account, session.pk, actor=actor, body="x" * 60_000)
    with pytest.raises(InvalidInputError) as found:
        services.step_add(account, session.pk, actor=actor, body="x" * 60_000)
    assert found.value.code == "text-too-long"
    assert SessionStep.objects.filter(session=session).count() == 2


def test_flow_of_another_account_is_refused(account: Account, actor: Actor, outsider: User) -> None:
    flow = outsider.membership.account.flows.create(title="Theirs")
    with pytest.raises(InvalidInputError) as found:
        services.session_create(account, actor=actor, title="x", flow_id=flow.pk)
    assert list(found.value.fields) == ["flow"]


# ticket


def test_link_remembers_who_and_when(linked: FlowSession) -> None:
    assert (linked.link.ticket_id, linked.linked_by_name) == ("4711", "Eva Engineer")
    assert linked.linked_at is not None


def test_linking_the_same_ticket_again_changes_nothing(
    account: Account, linked: FlowSession, owner: User, connection: Any
) -> None:
    services.note_post(account, linked.pk, actor=Actor(None, "x"), kind=NoteKind.DISCUSSION, text="Hi")
    again = services.ticket_link(account, linked.pk, connection.pk, "4711", actor=Actor(owner.pk, "Olga"))
    assert again.linked_by_name == "Eva Engineer"


def test_relink_with_something_on_its_way_is_refused(
    account: Account, actor: Actor, linked: FlowSession, connection: Any
) -> None:
    services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS)
    with pytest.raises(ConflictError) as found:
        services.ticket_link(account, linked.pk, connection.pk, "4712", actor=actor)
    assert found.value.code == "open-deliveries"


def test_relink_discards_on_request(
    account: Account, actor: Actor, linked: FlowSession, connection: Any
) -> None:
    delivery = services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS)
    moved = services.ticket_link(account, linked.pk, connection.pk, "4712", actor=actor, discard_open=True)
    delivery.refresh_from_db()
    assert (moved.link.ticket_id, delivery.state) == ("4712", "discarded")


def test_posts_of_another_session_do_not_hold_an_unlink(
    account: Account, actor: Actor, linked: FlowSession, connection: Any
) -> None:
    other = services.session_create(account, actor=actor, title="Other")
    services.ticket_link(account, other.pk, connection.pk, "4711", actor=actor)
    services.note_post(account, other.pk, actor=actor, kind=NoteKind.DISCUSSION, text="Hi")
    assert services.ticket_unlink(account, linked.pk, actor=actor).link is None


def test_unlink_forgets_who_linked(account: Account, actor: Actor, linked: FlowSession) -> None:
    freed = services.ticket_unlink(account, linked.pk, actor=actor)
    assert (freed.link, freed.linked_by, freed.linked_by_name, freed.linked_at) == (None, None, "", None)


# notes


def test_analysis_defaults_to_the_documentation_in_the_zone_of_the_poster(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS)
    assert STEP_BODY in texts(linked)["analysis"]
    assert " CET" in texts(linked)["analysis"] or " CEST" in texts(linked)["analysis"]


def test_resolution_defaults_to_the_closing_summary(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    services.session_update(account, linked.pk, resolution=SUMMARY)
    services.note_post(account, linked.pk, actor=actor, kind=NoteKind.RESOLUTION)
    assert SUMMARY in texts(linked)["resolution"]
    assert STEP_BODY not in texts(linked)["resolution"]


@pytest.mark.parametrize("kind", [NoteKind.RESOLUTION, NoteKind.DISCUSSION])
def test_no_customer_note_is_made_from_steps(
    account: Account, actor: Actor, linked: FlowSession, kind: NoteKind
) -> None:
    with pytest.raises(InvalidInputError) as found:
        services.note_post(account, linked.pk, actor=actor, kind=kind)
    assert (found.value.code, list(found.value.fields)) == ("empty-text", ["text"])
    assert kinds(linked) == []


def test_analysis_never_mails(account: Account, actor: Actor, linked: FlowSession) -> None:
    with pytest.raises(InvalidInputError) as found:
        services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS, notify=True)
    assert found.value.code == "notify-internal"


def test_note_needs_a_ticket(account: Account, actor: Actor, session: FlowSession) -> None:
    with pytest.raises(ConflictError) as found:
        services.note_post(account, session.pk, actor=actor, kind=NoteKind.ANALYSIS)
    assert found.value.code == "no-ticket"
