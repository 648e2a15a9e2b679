"""Mapping people to members: match, choose, end, and what is written down about it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection as database

from psa import selectors, services
from psa.exceptions import ConflictError, InvalidInputError, UnavailableError
from psa.models import AuditEntry, Connection, MemberMapping
from psa.providers.dummy.server import DummyServer
from psa.tests.conftest import World, world_make
from psa.types import Member
from resolutionflow.accounts.models import User
from resolutionflow.accounts.services import user_create

pytestmark = pytest.mark.usefixtures("dummy")


@pytest.fixture
def psa(ours: World) -> DummyServer:
    return DummyServer.of(str(ours.connection.pk))


@pytest.fixture
def bea(ours: World) -> User:
    """A colleague whose address is that of the member ben."""
    return user_create(ours.account, username="bea", password="x", email="Ben@MSP.example")


def mapped(world: World) -> dict[str, str]:
    rows = selectors.member_mappings(world.account, world.connection.pk)
    return {row.user_name: row.member_id for row in rows}


def choose(world: World, choices: dict[int, str | None]) -> list[MemberMapping]:
    return services.member_mappings_set(world.account, world.connection.pk, choices, actor=world.actor)


# match ------------------------------------------------------------------------------------------


def test_a_match_maps_whoever_the_address_names(ours: World, bea: User) -> None:
    found = services.members_match(ours.account, ours.connection.pk, actor=ours.actor)
    (made,) = found.made
    assert (made.user, made.member_id, made.member_name, made.how) == (bea, "8", "Ben Boyd", "email")
    assert mapped(ours) == {"Northwind-engineer": "7", "bea": "8"}


def test_a_match_answers_how_everybody_stands_afterwards(ours: World, bea: User) -> None:
    plan = services.members_match(ours.account, ours.connection.pk, actor=ours.actor).plan
    assert {row.person.name: row.why for row in plan.rows if row.mapping is None} == {
        "Northwind-owner": "no-email"
    }
    assert plan.free == ()


def test_a_second_match_makes_nothing(ours: World, bea: User) -> None:
    services.members_match(ours.account, ours.connection.pk, actor=ours.actor)
    again = services.members_match(ours.account, ours.connection.pk, actor=ours.actor)
    assert (again.made, MemberMapping.objects.count()) == ((), 2)


def test_a_match_reads_the_members_afresh(ours: World, bea: User, psa: DummyServer) -> None:
    psa.members.pop("8")
    selectors.members(ours.account, ours.connection.pk)
    psa.members["18"] = Member("18", "ben", "Ben Boyd", ("ben@msp.example",))
    (made,) = services.members_match(ours.account, ours.connection.pk, actor=ours.actor).made
    assert made.member_id == "18"


def test_a_match_is_in_the_audit(ours: World, bea: User) -> None:
    services.members_match(ours.account, ours.connection.pk, actor=ours.actor)
    entry = AuditEntry.objects.get(verb="member.mapped")
    assert (entry.actor, entry.facts["user_name"], entry.facts["member"]) == (ours.owner, "bea", "8")


def test_a_psa_that_does_not_answer_maps_nobody(ours: World, bea: User, psa: DummyServer) -> None:
    psa.fail_next("members", UnavailableError("Down."))
    with pytest.raises(UnavailableError):
        services.members_match(ours.account, ours.connection.pk, actor=ours.actor)
    assert mapped(ours) == {"Northwind-engineer": "7"}


def test_a_disabled_connection_is_not_asked(ours: World, psa: DummyServer) -> None:
    Connection.objects.update(state="disabled")
    with pytest.raises(ConflictError, match="disabled"):
        services.members_match(ours.account, ours.connection.pk, actor=ours.actor)
    assert psa.calls == []


# choose -----------------------------------------------------------------------------------------


def test_a_member_is_chosen_by_hand(ours: World, bea: User) -> None:
    (made,) = choose(ours, {bea.pk: "8"})
    assert (made.user, made.member_identifier, made.how, made.active) == (bea, "ben", "manual", True)


def test_another_choice_ends_the_mapping_before(ours: World) -> None:
    choose(ours, {ours.engineer.pk: "8"})
    ours.mapping.refresh_from_db()
    assert mapped(ours) == {"Northwind-engineer": "8"}
    assert (ours.mapping.active, ours.mapping.closed_at is None) == (False, False)
    (ended,) = selectors.member_mappings(ours.account, ours.connection.pk, closed=True)
    assert ended == ours.mapping


def test_the_same_choice_again_changes_nothing_and_asks_nobody(ours: World, psa: DummyServer) -> None:
    assert choose(ours, {ours.engineer.pk: "7"}) == [ours.mapping]
    assert (psa.calls, AuditEntry.objects.filter(verb__startswith="member.").count()) == ([], 0)


def test_none_ends_a_mapping_while_the_psa_is_down(ours: World, psa: DummyServer) -> None:
    psa.fail_next("*", UnavailableError("Down."), times=99)
    assert choose(ours, {ours.engineer.pk: None}) == []
    entry = AuditEntry.objects.get(verb="member.unmapped")
    assert (mapped(ours), entry.facts["member_name"]) == ({}, "Ann Ames")


def test_a_member_somebody_has_is_refused_by_name(ours: World, bea: User) -> None:
    with pytest.raises(ConflictError, match="Northwind-engineer is mapped to Ann Ames") as caught:
        choose(ours, {bea.pk: "7"})
    assert caught.value.code == "member-taken"
    assert mapped(ours) == {"Northwind-engineer": "7"}


def test_all_or_nothing(ours: World, bea: User) -> None:
    with pytest.raises(ConflictError):
        choose(ours, {ours.owner.pk: "8", bea.pk: "7"})
    assert mapped(ours) == {"Northwind-engineer": "7"}


def test_two_people_swap_their_members(ours: World, bea: User) -> None:
    choose(ours, {bea.pk: "8"})
    choose(ours, {bea.pk: "7", ours.engineer.pk: "8"})
    assert mapped(ours) == {"Northwind-engineer": "8", "bea": "7"}


def test_a_member_freed_in_the_same_call_can_be_chosen(ours: World, bea: User) -> None:
    choose(ours, {bea.pk: "7", ours.engineer.pk: None})
    assert mapped(ours) == {"bea": "7"}


def test_one_member_for_two_people_is_refused(ours: World, bea: User) -> None:
    with pytest.raises(InvalidInputError, match="once"):
        choose(ours, {bea.pk: "8", ours.owner.pk: "8"})


@pytest.mark.parametrize(
    ("member_id", "sentence"),
    [
        ("999", "The PSA has no member 999."),
        ("9", "Zoe Zander is switched off in the PSA."),
        ("90", "Dummy API member is an API member."),
    ],
)
def test_a_member_that_cannot_be_mapped_is_refused(
    ours: World, bea: User, member_id: str, sentence: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        choose(ours, {bea.pk: member_id})
    assert caught.value.fields == {"member": [sentence]}


def test_a_member_who_joined_since_the_list_was_read_is_found(
    ours: World, bea: User, psa: DummyServer
) -> None:
    selectors.members(ours.account, ours.connection.pk)
    psa.members["18"] = Member("18", "new", "New One")
    assert choose(ours, {bea.pk: "18"})[0].member_name == "New One"


def test_a_user_of_another_account_is_refused(ours: World, theirs: World) -> None:
    with pytest.raises(InvalidInputError) as caught:
        choose(ours, {theirs.engineer.pk: "8"})
    assert list(caught.value.fields) == ["user"]


def test_a_user_who_is_switched_off_is_refused(ours: World, bea: User) -> None:
    User.objects.filter(pk=bea.pk).update(is_active=False)
    with pytest.raises(InvalidInputError):
        choose(ours, {bea.pk: "8"})


def test_a_member_of_a_deleted_user_is_free(ours: World, bea: User) -> None:
    ours.engineer.delete()
    choose(ours, {bea.pk: "7"})
    assert mapped(ours) == {"bea": "7"}


def test_a_mapping_made_behind_our_back_is_a_conflict(
    ours: World, bea: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = MemberMapping.objects.none()
    monkeypatch.setattr("psa.services.members.member_mappings", lambda *_args: nothing)
    with pytest.raises(ConflictError) as caught:
        choose(ours, {bea.pk: "7"})
    assert caught.value.code == "changed-meanwhile"


def test_without_a_people_setting_nobody_can_be_mapped(ours: World, settings: Any) -> None:
    settings.PSA = {**settings.PSA, "PEOPLE": ""}
    assert services.members_match(ours.account, ours.connection.pk, actor=ours.actor).made == ()
    with pytest.raises(InvalidInputError):
        choose(ours, {ours.owner.pk: "8"})


# end --------------------------------------------------------------------------------------------


def test_all_mappings_of_a_user_end_at_once(ours: World) -> None:
    second = Connection.objects.create(
        tenant=ours.account, provider="dummy", name="Two", site="two.example", credentials={"api_key": "x"}
    )
    MemberMapping.objects.create(
        tenant=ours.account,
        connection=second,
        user=ours.engineer,
        user_name="e",
        member_id="8",
        member_name="Ben",
    )
    ended = services.member_mappings_close(
        ours.account, ours.engineer.pk, actor=ours.actor, reason="Left the company."
    )
    assert [(row.connection_id, row.active) for row in ended] == [
        (ours.connection.pk, False),
        (second.pk, False),
    ]
    assert not MemberMapping.objects.filter(active=True).exists()
    facts = AuditEntry.objects.filter(verb="member.unmapped").values_list("facts", flat=True)
    assert [row["reason"] for row in facts] == ["Left the company."] * 2


# reads ------------------------------------------------------------------------------------------


def test_members_are_kept_in_the_cache(ours: World, psa: DummyServer) -> None:
    assert selectors.members_known(ours.account, ours.connection.pk) is None
    first = selectors.members(ours.account, ours.connection.pk)
    assert selectors.members(ours.account, ours.connection.pk) == first
    assert selectors.members_known(ours.account, ours.connection.pk) == first
    assert psa.calls == ["members"]


def test_members_are_kept_without_the_vendors_records(ours: World, psa: DummyServer) -> None:
    psa.members["7"] = Member("7", "ann", "Ann Ames", ("ann@msp.example",), raw={"pay": "secret"})
    assert all(member.raw == {} for member in selectors.members(ours.account, ours.connection.pk))


@pytest.mark.parametrize(
    ("query", "found"),
    [("", ["8"]), ("BOYD ben", ["8"]), ("ben@msp", ["8"]), ("ann", []), ("zander", []), ("api", [])],
)
def test_a_search_finds_free_members_by_name_login_and_address(
    ours: World, query: str, found: list[str]
) -> None:
    rows = selectors.members_search(ours.account, ours.connection.pk, query)
    assert [member.id for member in rows] == found


def test_the_first_paint_of_the_page_asks_no_psa(ours: World, psa: DummyServer) -> None:
    rows = selectors.member_rows(ours.account, ours.connection.pk)
    assert {row.person.name: row.mapping for row in rows} == {
        "Northwind-engineer": ours.mapping,
        "Northwind-owner": None,
    }
    assert psa.calls == []


def test_the_plan_takes_as_many_queries_for_many_people_as_for_few(
    ours: World, django_assert_num_queries: Any
) -> None:
    selectors.members(ours.account, ours.connection.pk)

    def ask() -> None:
        selectors.member_plan(ours.account, ours.connection.pk)

    with database.execute_wrapper(counter := Counter()):
        ask()
    for number in range(20):
        user_create(ours.account, username=f"p{number}", password="x", email=f"p{number}@msp.example")
    with django_assert_num_queries(counter.count):
        ask()


class Counter:
    """Counts statements."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Any, *args: Any) -> Any:
        self.count += 1
        return execute(*args)


# at once ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_who_choose_one_member_at_once_one_is_told(settings: Any) -> None:
    """Not with the fixture `ours`: its rows stand in a transaction that other threads do not see."""
    settings.PSA = {**settings.PSA, "PROVIDERS": {"dummy": "psa.providers.dummy.provider.DummyProvider"}}
    world = world_make("Northwind")
    users = [user_create(world.account, username=f"u{number}", password="x") for number in range(4)]
    selectors.members(world.account, world.connection.pk)
    start = threading.Barrier(len(users))
    told: list[str] = []

    def run(user: User) -> None:
        start.wait(10)
        try:
            choose(world, {user.pk: "8"})
        except ConflictError as exc:
            told.append(exc.code)
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert told == ["member-taken"] * 3
    assert MemberMapping.objects.filter(active=True, member_id="8").count() == 1
