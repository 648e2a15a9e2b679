"""Owns how people and the members of a PSA are listed, and what is said of whoever has no member."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from psa.selectors import PersonRow, Unmatched
from psa.types import Member, Person

WHY = {
    Unmatched.NO_EMAIL: "No e-mail address of this person is known here.",
    Unmatched.NO_MEMBER: "No active member has this address.",
    Unmatched.AMBIGUOUS: "Several people share this address, so nobody is guessed. Choose who it is.",
    Unmatched.TAKEN: "Somebody else is mapped to the member with this address.",
}
"""Why a person has no member → a sentence."""

HOW = {"email": "By e-mail", "manual": "By hand", "invited": "By invitation"}
"""How a mapping came about → words."""

CHANGES = {
    "new": ("New", "info"),
    "inactive": ("Switched off", "wait"),
    "left": ("Left", "bad"),
}
"""What became of a member → words, tone."""


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One of us as the page lists them."""

    person: Person
    mapping: Any
    how: str
    match: Member | None
    """The member a match by e-mail would choose."""
    why: str
    """Why there is none, as a sentence; empty while the PSA was not asked."""
    candidates: tuple[Member, ...]

    @property
    def member_left(self) -> bool:
        """True when the PSA no longer lists the member as active."""
        return self.mapping is not None and self.mapping.member_left_at is not None


@dataclass(frozen=True, slots=True)
class NewsLine:
    """One change the nightly look found."""

    name: str
    words: str
    tone: str
    at: datetime | None
    person: str
    """Who of us is mapped to the member, empty for nobody."""


@dataclass(frozen=True, slots=True)
class People:
    """Everybody of a connection, those who need a choice first."""

    unmapped: Sequence[PersonLine]
    mapped: Sequence[PersonLine]

    @property
    def matches(self) -> int:
        """How many a match by e-mail would map."""
        return sum(line.match is not None for line in self.unmapped)


def people_lines(rows: Iterable[PersonRow]) -> People:
    """Return the lines of people, in the order of the rows; who cannot be guessed comes first."""
    lines = [
        PersonLine(
            person=row.person,
            mapping=row.mapping,
            how=HOW.get(row.mapping.how, "") if row.mapping else "",
            match=row.match,
            why=WHY[row.why] if row.why else "",
            candidates=row.candidates if row.why is Unmatched.AMBIGUOUS else (),
        )
        for row in rows
    ]
    unmapped = [line for line in lines if line.mapping is None]
    return People(
        unmapped=sorted(unmapped, key=lambda line: not line.candidates),
        mapped=sorted((line for line in lines if line.mapping), key=lambda line: not line.member_left),
    )


def news_lines(review: Any, rows: Iterable[PersonRow]) -> list[NewsLine]:
    """Return what the nightly look found and nobody has looked at, the newest first."""
    if review is None:
        return []
    holders = {row.mapping.member_id: row.person.name for row in rows if row.mapping}
    return [
        NewsLine(
            name=str(entry.get("name", "")),
            words=CHANGES[entry["change"]][0],
            tone=CHANGES[entry["change"]][1],
            at=parse_datetime(str(entry.get("at", ""))),
            person=holders.get(str(entry.get("id", "")), ""),
        )
        for entry in review.news
        if entry.get("change") in CHANGES
    ]
