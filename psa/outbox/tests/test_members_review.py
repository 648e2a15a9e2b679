"""The daily look at members and statuses: whose turn it is, what it tells, what becomes of mappings."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa import selectors, services
from psa.models import Connection, Delivery, MemberMapping, MemberReview, PeriodicJob, StatusRule
from psa.outbox.jobs import JOBS, jobs_run
from psa.outbox.members import NEWS_MAX, members_review, news_of
from psa.outbox.rules import status_rules_review
from psa.outbox.tests.conftest import sent
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.services import StatusRuleDraft
from psa.types import Actor, Member
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import membership_set

MEMBERS = "/system/info/members"
STATUSES = "/service/boards/1/statuses"


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def known(connection: Connection, now: datetime) -> MemberReview:
    """A connection whose members were noted a day ago."""
    members_review(now - timedelta(days=2))
    look(now - timedelta(days=1))
    return MemberReview.objects.get()


def look(now: datetime) -> MemberReview:
    """Look at the members although it may not be their turn."""
    MemberReview.objects.update(due_at=now)
    members_review(now)
    return MemberReview.objects.get()


def change(sandbox: SandboxServer, member_id: int, **values: Any) -> None:
    table = sandbox.store.table("system/members")
    record = table.get(member_id)
    assert record is not None
    table.put(record, {**record.data, **values})


def remove(sandbox: SandboxServer, member_id: int) -> None:
    table = sandbox.store.table("system/members")
    record = table.get(member_id)
    assert record is not None
    table.remove(record)


def map_to(tenant: Account, connection: Connection, user: User, member_id: str) -> MemberMapping:
    return MemberMapping.objects.create(
        tenant=tenant,
        connection=connection,
        user=user,
        user_name="Erin Example",
        member_id=member_id,
        member_name="Erin Owens",
    )


def told(review: MemberReview) -> list[tuple[str, str]]:
    return [(row["name"], row["change"]) for row in review.news]


# members ----------------------------------------------------------------------------------------


def test_a_new_connection_has_its_turn_within_the_hour(connection: Connection, now: datetime) -> None:
    members_review(now)
    review = MemberReview.objects.get()
    assert (review.tenant, review.checked_at) == (connection.tenant, None)
    assert now <= review.due_at <= now + timedelta(hours=1)


def test_the_first_look_notes_who_is_there_and_tells_nothing(known: MemberReview) -> None:
    assert (known.news, known.known["105"], len(known.known)) == ([], "Erin Owens", 12)
    assert "150" not in known.known  # the API member


def test_who_joined_left_or_was_switched_off_is_told(
    known: MemberReview, sandbox: SandboxServer, now: datetime
) -> None:
    change(sandbox, 112, inactiveFlag=False)
    change(sandbox, 103, inactiveFlag=True)
    remove(sandbox, 104)
    review = look(now)
    assert told(review) == [("Carmen Diaz", "inactive"), ("Dev Patel", "left"), ("Lena Moss", "new")]
    assert review.news[0]["at"] == now.isoformat()


def test_news_stays_until_somebody_looked(
    known: MemberReview, sandbox: SandboxServer, now: datetime, tenant: Account
) -> None:
    remove(sandbox, 104)
    look(now)
    remove(sandbox, 103)
    assert told(look(now + timedelta(days=1))) == [("Carmen Diaz", "left"), ("Dev Patel", "left")]
    services.member_news_clear(tenant, known.connection_id)
    review = selectors.member_review(tenant, known.connection_id)
    assert review is not None
    assert review.news == []


def test_news_has_an_end(known: MemberReview, now: datetime) -> None:
    MemberReview.objects.update(known={str(number): "Gone" for number in range(NEWS_MAX + 50)})
    assert len(look(now).news) == NEWS_MAX


def test_a_look_comes_once_a_day(known: MemberReview, sandbox: SandboxServer, now: datetime) -> None:
    before = len(sent(sandbox, "GET", MEMBERS))
    review = look(now)
    assert now + timedelta(days=1) <= review.due_at <= now + timedelta(hours=25)
    members_review(now)
    members_review(now + timedelta(hours=23))
    assert len(sent(sandbox, "GET", MEMBERS)) == before + 1


def test_a_look_that_fails_is_repeated_within_the_hour_and_marks_nobody(
    known: MemberReview, sandbox: SandboxServer, now: datetime, tenant: Account, user: User
) -> None:
    mapping = map_to(tenant, known.connection, user, "999")
    sandbox.faults.add(kind="status", path=MEMBERS, status=500)
    review = look(now)
    mapping.refresh_from_db()
    assert (review.checked_at, review.due_at) == (now - timedelta(days=1), now + timedelta(hours=1))
    assert (mapping.member_left_at, review.known) == (None, known.known)


def test_an_empty_list_says_nothing_about_anybody(
    known: MemberReview, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psa.outbox.members.members_of", lambda *_args, **_options: [])
    review = look(now)
    assert (review.known, review.news) == (known.known, [])


@pytest.mark.parametrize("state", ["disabled", "broken", "degraded"])
def test_a_connection_that_does_not_work_is_not_asked(
    known: MemberReview, sandbox: SandboxServer, now: datetime, state: str
) -> None:
    before = len(sent(sandbox, "GET", MEMBERS))
    Connection.objects.update(state=state)
    look(now)
    assert len(sent(sandbox, "GET", MEMBERS)) == before


def test_a_deleted_connection_gets_no_turn(connection: Connection, now: datetime) -> None:
    Connection.objects.update(deleted_at=now)
    members_review(now)
    assert not MemberReview.objects.exists()


def test_another_worker_that_was_faster_looks_alone(
    known: MemberReview, sandbox: SandboxServer, now: datetime
) -> None:
    MemberReview.objects.update(due_at=now)
    before = len(sent(sandbox, "GET", MEMBERS))

    def meanwhile() -> bool:
        """Between reading whose turn it is and claiming it."""
        MemberReview.objects.update(due_at=now + timedelta(hours=1))
        return True

    members_review(now, meanwhile)
    assert len(sent(sandbox, "GET", MEMBERS)) == before


def test_a_worker_that_stops_begins_no_look(
    known: MemberReview, sandbox: SandboxServer, now: datetime
) -> None:
    MemberReview.objects.update(due_at=now)
    before = len(sent(sandbox, "GET", MEMBERS))
    members_review(now, lambda: False)
    assert len(sent(sandbox, "GET", MEMBERS)) == before


@pytest.mark.parametrize("values", [{"inactiveFlag": True}, {"licenseClass": "A"}])
def test_a_mapping_whose_member_cannot_write_any_more_is_marked(
    known: MemberReview,
    sandbox: SandboxServer,
    now: datetime,
    tenant: Account,
    user: User,
    values: dict[str, Any],
) -> None:
    mapping = map_to(tenant, known.connection, user, "105")
    look(now)
    mapping.refresh_from_db()
    assert mapping.member_left_at is None
    change(sandbox, 105, **values)
    look(now + timedelta(days=1))
    look(now + timedelta(days=2))
    mapping.refresh_from_db()
    assert (mapping.active, mapping.member_left_at) == (True, now + timedelta(days=1))


def test_a_mapping_whose_member_is_back_is_unmarked(
    known: MemberReview, now: datetime, tenant: Account, user: User
) -> None:
    mapping = map_to(tenant, known.connection, user, "105")
    MemberMapping.objects.update(member_left_at=now)
    look(now)
    mapping.refresh_from_db()
    assert mapping.member_left_at is None


def test_a_mapping_of_a_deleted_user_ends(
    known: MemberReview, now: datetime, tenant: Account, user: User
) -> None:
    mapping = map_to(tenant, known.connection, user, "105")
    user.delete()
    look(now)
    mapping.refresh_from_db()
    assert (mapping.active, mapping.closed_at) == (False, now)


def test_the_look_leaves_the_members_in_the_cache(
    known: MemberReview, sandbox: SandboxServer, now: datetime, tenant: Account
) -> None:
    look(now)
    found = selectors.members_known(tenant, known.connection_id)
    assert found is not None
    assert len(found) == 14


def test_a_notes_author_mapped_meanwhile_lets_it_go(
    post: Any, run: Any, connection: Connection, tenant: Account, user: User, actor: Actor, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "UNMAPPED_AUTHOR": "hold"}
    User.objects.filter(pk=user.pk).update(email="eowens@acme-msp.example")
    # The fixtures of this folder give the user no place in the account.
    membership_set(user, tenant, Role.ENGINEER)
    delivery: Delivery = post()
    run()
    services.members_match(tenant, connection.pk, actor=actor)
    run()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.author_name) == ("delivered", "Erin Owens")


def test_names_are_told_in_the_order_of_people(now: datetime) -> None:
    found = news_of({}, [Member("2", "b", "bo"), Member("1", "a", "Al"), Member("3", "c", "")], now)
    assert [row["name"] for row in found] == ["", "Al", "bo"]


# statuses of rules ------------------------------------------------------------------------------


@pytest.fixture
def rule(connection: Connection, tenant: Account, actor: Actor) -> StatusRule:
    drafts = [StatusRuleDraft("1", "resolved", "506")]
    services.status_rules_set(tenant, connection.pk, drafts, actor=actor)
    return StatusRule.objects.get()


def test_the_sandbox_tells_what_a_status_means(rule: StatusRule) -> None:
    assert (rule.status_name, rule.board_name, rule.closes) == ("Completed", "Help Desk", False)
    assert selectors.rule_warnings(rule) == ["not-closed"]


def test_a_rule_is_looked_at_once_a_day(rule: StatusRule, sandbox: SandboxServer, now: datetime) -> None:
    before = len(sent(sandbox, "GET", STATUSES))
    later = now + timedelta(hours=25)
    for moment in (now, later, later, later + timedelta(hours=23)):
        status_rules_review(moment)
    assert len(sent(sandbox, "GET", STATUSES)) == before + 1
    rule.refresh_from_db()
    assert rule.checked_at == later


def test_a_status_that_was_switched_off_is_found(
    rule: StatusRule, sandbox: SandboxServer, now: datetime
) -> None:
    table = sandbox.store.table("service/boards/statuses")
    record = table.get(506)
    assert record is not None
    table.put(record, {**record.data, "inactive": True})
    status_rules_review(now + timedelta(hours=25))
    rule.refresh_from_db()
    assert not rule.valid


def test_statuses_that_cannot_be_read_are_looked_at_again_within_the_hour(
    rule: StatusRule, sandbox: SandboxServer, now: datetime
) -> None:
    sandbox.faults.add(kind="status", path=STATUSES, status=500)
    later = now + timedelta(hours=25)
    status_rules_review(later)
    rule.refresh_from_db()
    assert (rule.valid, rule.checked_at) == (True, later - timedelta(hours=23))


def test_both_looks_are_periodic_jobs(connection: Connection, now: datetime) -> None:
    assert {"members-review", "status-rules-review"} <= {job.name for job in JOBS}
    jobs_run(now)
    assert MemberReview.objects.exists()
    assert not PeriodicJob.objects.exclude(last_error="").exists()
