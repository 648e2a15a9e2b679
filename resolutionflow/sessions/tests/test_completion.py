"""Tests of how a session ends, below the REST API."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.utils import timezone

from psa.exceptions import ConflictError, ConnectFailedError, InvalidInputError, MissingError
from psa.types import Actor, NoteKind, Status
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions import selectors, services
from resolutionflow.sessions.models import FlowSession, Outcome
from resolutionflow.sessions.services import AlreadyCompletedError, CompletionDraft
from resolutionflow.sessions.tests.conftest import SUMMARY, Delivery, kinds, make_link, texts

RESOLVED = CompletionDraft(Outcome.RESOLVED, resolution=SUMMARY)


def _rule(session: FlowSession, outcome: str, mail: str = "silent") -> None:
    apps.get_model("psa.StatusRule").objects.create(
        tenant=session.account,
        connection=session.link.connection,
        board_id="1",
        board_name="Service Desk",
        outcome=outcome,
        status_id="7",
        status_name="Closed",
        mail=mail,
    )


def test_completion_queues_analysis_then_resolution(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    unit = services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    assert kinds(linked) == ["analysis", "resolution"]
    done = selectors.session_get(account, linked.pk)
    assert (done.state, done.outcome, done.resolution, done.unit) == ("completed", "resolved", SUMMARY, unit)


def test_status_comes_last(account: Account, actor: Actor, linked: FlowSession) -> None:
    draft = CompletionDraft(Outcome.RESOLVED, resolution=SUMMARY, status="7")
    services.session_complete(account, linked.pk, draft, actor=actor)
    assert kinds(linked) == ["analysis", "resolution", "status"]


def test_analysis_of_a_completion_tells_outcome_and_summary(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    assert "Outcome: Resolved" in texts(linked)["analysis"]
    assert f"CLOSING SUMMARY\n\n{SUMMARY}" in texts(linked)["analysis"]


def test_no_step_reaches_the_customer(account: Account, actor: Actor, linked: FlowSession) -> None:
    services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    assert all(word not in texts(linked)["resolution"] for word in ("Login", "hunter2", "Could sign in"))


@pytest.mark.parametrize("outcome", [Outcome.UNRESOLVED, Outcome.ESCALATED, Outcome.CANCELLED])
def test_only_a_solved_problem_gets_a_resolution_note(
    account: Account, actor: Actor, linked: FlowSession, outcome: Outcome
) -> None:
    services.session_complete(account, linked.pk, CompletionDraft(outcome, resolution=SUMMARY), actor=actor)
    assert kinds(linked) == ["analysis"]


@pytest.mark.parametrize("resolution", [None, "", " \n"])
def test_solved_without_a_summary_is_refused_and_changes_nothing(
    account: Account, actor: Actor, linked: FlowSession, resolution: str | None
) -> None:
    with pytest.raises(InvalidInputError) as found:
        services.session_complete(
            account, linked.pk, CompletionDraft(Outcome.RESOLVED, resolution=resolution), actor=actor
        )
    assert list(found.value.fields) == ["resolution"]
    assert (selectors.session_get(account, linked.pk).state, kinds(linked)) == ("open", [])


def test_summary_written_before_is_used(account: Account, actor: Actor, linked: FlowSession) -> None:
    services.session_update(account, linked.pk, resolution=SUMMARY)
    services.session_complete(account, linked.pk, CompletionDraft(Outcome.RESOLVED), actor=actor)
    assert SUMMARY in texts(linked)["resolution"]


def test_documentation_that_is_queued_is_not_queued_again(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS)
    services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    assert kinds(linked) == ["analysis", "resolution"]


def test_a_step_added_since_is_documented(account: Account, actor: Actor, linked: FlowSession) -> None:
    services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS)
    services.step_add(account, linked.pk, actor=actor, body="One more")
    services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    assert kinds(linked) == ["analysis", "analysis", "resolution"]


def test_a_note_in_own_words_is_not_the_documentation(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS, text="In short: cable.")
    services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    assert kinds(linked) == ["analysis", "analysis", "resolution"]


def test_documentation_on_another_ticket_does_not_count(
    account: Account, actor: Actor, linked: FlowSession, connection: Any
) -> None:
    services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS)
    Delivery.objects.update(state="delivered", delivered_at=timezone.now())
    services.ticket_link(account, linked.pk, connection.pk, "4712", actor=actor)
    services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    assert (
        list(
            Delivery.objects.filter(link=make_link(connection, "4712")).values_list("kind", flat=True)
        ).count("analysis")
        == 1
    )


def test_documentation_that_was_discarded_is_queued_again(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS)
    Delivery.objects.update(state="discarded")
    services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    assert kinds(linked) == ["analysis", "analysis", "resolution"]


def test_completion_with_nothing_left_to_post_names_the_unit_that_did(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    posted = services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS)
    unit = services.session_complete(account, linked.pk, CompletionDraft(Outcome.ESCALATED), actor=actor)
    assert (unit.pk, kinds(linked)) == (posted.unit_id, ["analysis"])


def test_session_completes_once(account: Account, actor: Actor, linked: FlowSession) -> None:
    unit = services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    with pytest.raises(AlreadyCompletedError) as found:
        services.session_complete(account, linked.pk, CompletionDraft(Outcome.CANCELLED), actor=actor)
    assert found.value.unit == unit
    assert kinds(linked) == ["analysis", "resolution"]


def test_completion_needs_a_ticket(account: Account, actor: Actor, session: FlowSession) -> None:
    with pytest.raises(ConflictError) as found:
        services.session_complete(account, session.pk, RESOLVED, actor=actor)
    assert found.value.code == "no-ticket"
    assert selectors.session_get(account, session.pk).is_open


def test_completion_of_another_accounts_session_is_missing(
    outsider: User, actor: Actor, linked: FlowSession
) -> None:
    with pytest.raises(MissingError):
        services.session_complete(outsider.membership.account, linked.pk, RESOLVED, actor=actor)


def test_rule_of_the_board_sets_the_status(account: Account, actor: Actor, linked: FlowSession) -> None:
    _rule(linked, "resolved")
    services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    payload = Delivery.objects.get(kind="status").payload
    assert (payload["status"], payload["notify"]) == ("7", False)


def test_rule_of_another_outcome_sets_none(account: Account, actor: Actor, linked: FlowSession) -> None:
    _rule(linked, "escalated")
    services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    assert kinds(linked) == ["analysis", "resolution"]


@pytest.mark.parametrize(
    ("mail", "notify", "wanted"),
    [("silent", None, False), ("as_psa", None, True), ("as_psa", False, False), ("silent", True, True)],
)
def test_who_decides_whether_a_rules_status_mails(
    account: Account, actor: Actor, linked: FlowSession, mail: str, notify: bool | None, wanted: bool
) -> None:
    _rule(linked, "resolved", mail)
    draft = CompletionDraft(Outcome.RESOLVED, resolution=SUMMARY, notify=notify)
    services.session_complete(account, linked.pk, draft, actor=actor)
    assert Delivery.objects.get(kind="status").payload["notify"] is wanted


def test_notify_is_for_the_customers_note_never_for_the_analysis(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    draft = CompletionDraft(Outcome.RESOLVED, resolution=SUMMARY, notify=True)
    services.session_complete(account, linked.pk, draft, actor=actor)
    assert {row.kind: row.payload["notify"] for row in Delivery.objects.all()} == {
        "analysis": False,
        "resolution": True,
    }


def test_preview_stores_nothing_and_shows_every_text(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    preview = services.completion_preview(account, linked.pk, RESOLVED, actor=actor)
    assert [(part.kind, part.visible_to) for part in preview.parts] == [
        ("analysis", "staff"),
        ("resolution", "customer"),
    ]
    assert "Outcome: Resolved" in preview.parts[0].text
    assert selectors.session_get(account, linked.pk).is_open
    assert kinds(linked) == []


def test_preview_names_the_status_of_a_rule(account: Account, actor: Actor, linked: FlowSession) -> None:
    _rule(linked, "resolved")
    preview = services.completion_preview(account, linked.pk, RESOLVED, actor=actor)
    assert (preview.parts[-1].kind, preview.status) == ("status", "Closed")


def test_preview_names_a_status_given_by_its_id(
    account: Account, actor: Actor, linked: FlowSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [Status("7", "Closed", "1"), Status("8", "Waiting", "1")]
    monkeypatch.setattr("psa.selectors.statuses", lambda *args: known)
    draft = CompletionDraft(Outcome.RESOLVED, resolution=SUMMARY, status="8")
    assert services.completion_preview(account, linked.pk, draft, actor=actor).status == "Waiting"


def test_preview_works_while_the_psa_is_down(
    account: Account, actor: Actor, linked: FlowSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*args: Any) -> None:
        raise ConnectFailedError("Down.")

    monkeypatch.setattr("psa.selectors.statuses", down)
    draft = CompletionDraft(Outcome.RESOLVED, resolution=SUMMARY, status="8")
    assert services.completion_preview(account, linked.pk, draft, actor=actor).status == "8"


def test_preview_says_why_the_analysis_is_left_out(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS)
    preview = services.completion_preview(account, linked.pk, RESOLVED, actor=actor)
    assert [part.kind for part in preview.parts] == ["resolution"]
    assert [(left.kind, "on its way" in left.reason) for left in preview.left_out] == [("analysis", True)]


def test_preview_says_that_a_new_summary_is_not_posted(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    services.note_post(account, linked.pk, actor=actor, kind=NoteKind.ANALYSIS)
    draft = CompletionDraft(Outcome.ESCALATED, resolution="Ben goes on.")
    preview = services.completion_preview(account, linked.pk, draft, actor=actor)
    assert (preview.parts, "closing summary stays here" in preview.left_out[0].reason) == ((), True)


def test_preview_says_what_was_dropped(account: Account, actor: Actor, linked: FlowSession) -> None:
    draft = CompletionDraft(Outcome.RESOLVED, resolution="Works\x07 again.")
    preview = services.completion_preview(account, linked.pk, draft, actor=actor)
    assert preview.parts[1].text.endswith("Works again.")
    assert any("Control characters" in note for note in preview.parts[1].notes)


def test_what_is_done_cannot_be_changed(account: Account, actor: Actor, linked: FlowSession) -> None:
    services.session_complete(account, linked.pk, RESOLVED, actor=actor)
    for change in (
        lambda: services.step_add(account, linked.pk, actor=actor, body="late"),
        lambda: services.session_update(account, linked.pk, title="late"),
    ):
        with pytest.raises(ConflictError) as found:
            change()
        assert found.value.code == "session-completed"
