"""The rule by which e-mail decides who is which member: what decides, and what never does."""

from __future__ import annotations

import pytest

from psa.models import MemberMapping
from psa.selectors import PersonRow, Unmatched
from psa.selectors.member import match_plan
from psa.types import Member, Person

ERIN = Person(1, "Erin Owens", "eowens@msp.example")
FELIX = Person(2, "Felix Chan", "helpdesk@msp.example")


def member(member_id: str, *emails: str, name: str = "", **facts: bool) -> Member:
    return Member(member_id, f"m{member_id}", name or f"Member {member_id}", emails, **facts)


def mapping(user_id: int | None, member_id: str) -> MemberMapping:
    return MemberMapping(user_id=user_id, user_name=f"User {user_id}", member_id=member_id)


def row_of(person: Person, rows: tuple[PersonRow, ...]) -> PersonRow:
    return next(row for row in rows if row.person.id == person.id)


def test_an_address_one_member_and_one_person_have_matches() -> None:
    plan = match_plan([ERIN], [member("105", "eowens@msp.example")], [])
    assert row_of(ERIN, plan.rows).match == member("105", "eowens@msp.example")


@pytest.mark.parametrize("email", ["EOwens@MSP.example", "  eowens@msp.example "])
def test_case_and_blanks_of_an_address_make_no_difference(email: str) -> None:
    plan = match_plan([Person(1, "Erin", email)], [member("105", "eowens@msp.example")], [])
    assert plan.rows[0].match is not None


def test_any_of_a_members_addresses_matches() -> None:
    plan = match_plan([ERIN], [member("105", "erin@mail.example", "eowens@msp.example")], [])
    assert plan.rows[0].match is not None


@pytest.mark.parametrize("facts", [{"active": False}, {"is_api": True}])
def test_inactive_and_api_members_are_left_out(facts: dict[str, bool]) -> None:
    plan = match_plan([ERIN], [member("105", ERIN.email, **facts)], [])
    assert (plan.rows[0].match, plan.rows[0].why) == (None, Unmatched.NO_MEMBER)
    assert plan.free == ()


def test_an_inactive_member_with_the_address_makes_nothing_ambiguous() -> None:
    again = member("205", ERIN.email)
    plan = match_plan([ERIN], [member("105", ERIN.email, active=False), again], [])
    assert plan.rows[0].match == again


def test_an_address_of_several_members_is_never_guessed() -> None:
    both = (member("106", FELIX.email), member("107", FELIX.email))
    row = match_plan([FELIX], both, []).rows[0]
    assert (row.match, row.why, row.candidates) == (None, Unmatched.AMBIGUOUS, both)


def test_an_address_stays_ambiguous_when_one_of_its_members_is_mapped() -> None:
    both = (member("106", FELIX.email), member("107", FELIX.email))
    plan = match_plan([ERIN, FELIX], both, [mapping(ERIN.id, "106")])
    assert row_of(FELIX, plan.rows).why is Unmatched.AMBIGUOUS


def test_an_address_of_several_people_is_never_guessed() -> None:
    twin = Person(3, "Gia Romano", FELIX.email.upper())
    plan = match_plan([FELIX, twin], [member("106", FELIX.email)], [])
    assert [row.why for row in plan.rows] == [Unmatched.AMBIGUOUS, Unmatched.AMBIGUOUS]


def test_two_people_who_name_one_member_by_two_addresses_are_ambiguous() -> None:
    both = member("105", "eowens@msp.example", "helpdesk@msp.example")
    plan = match_plan([ERIN, FELIX], [both], [])
    assert [row.why for row in plan.rows] == [Unmatched.AMBIGUOUS, Unmatched.AMBIGUOUS]


def test_who_is_mapped_stays_so_whatever_the_address_says() -> None:
    kept = mapping(ERIN.id, "101")
    row = match_plan([ERIN], [member("101"), member("105", ERIN.email)], [kept]).rows[0]
    assert (row.mapping, row.match) == (kept, None)


def test_a_member_somebody_else_is_mapped_to_is_not_taken_away() -> None:
    plan = match_plan([ERIN, FELIX], [member("105", ERIN.email)], [mapping(FELIX.id, "105")])
    assert row_of(ERIN, plan.rows).why is Unmatched.TAKEN


@pytest.mark.parametrize("email", ["", "  ", "erin"])
def test_a_person_without_an_address_is_told_so(email: str) -> None:
    plan = match_plan([Person(1, "Erin", email)], [member("105", email), member("106", "")], [])
    assert plan.rows[0].why is Unmatched.NO_EMAIL


def test_a_person_who_is_switched_off_is_neither_matched_nor_makes_an_address_ambiguous() -> None:
    gone = Person(9, "Old Erin", ERIN.email, active=False)
    plan = match_plan([ERIN, gone], [member("105", ERIN.email)], [])
    assert [row.person for row in plan.rows] == [ERIN]
    assert plan.rows[0].match is not None


def test_a_mapping_of_somebody_who_does_not_work_here_any_more_stays_visible() -> None:
    left = mapping(77, "105")
    row = match_plan([ERIN], [], [left]).rows[1]
    assert (row.person.active, row.mapping) == (False, left)


def test_members_nobody_is_or_would_be_are_free_by_name() -> None:
    found = [
        member("101", name="zoe"),
        member("102", name="Adam"),
        member("103", ERIN.email),
        member("104"),
        member("150", name="Robot", is_api=True),
    ]
    plan = match_plan([ERIN, FELIX], found, [mapping(FELIX.id, "104")])
    assert [m.id for m in plan.free] == ["102", "101"]
