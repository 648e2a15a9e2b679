"""Owns the ranking of flows for a ticket: BM25 over weighted fields, rules, and what people chose before.

Pure functions. A new source of words is a field in `WEIGHTS` and in `FlowText`.
Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import snowballstemmer

from psa.types import significant_words

K1, B = 1.2, 0.6
WEIGHTS: Mapping[str, float] = {"title": 3.0, "keywords": 3.0, "solved": 1.5, "steps": 1.0, "about": 1.0}
"""Field of a flow → how much a word in it counts."""
ASKED: Mapping[str, float] = {"summary": 1.0, "description": 0.4, "kind": 0.6, "devices": 0.3}
"""Field of a ticket → how much its words count."""
DESCRIPTION_WORDS = 80
"""Words of a description that are looked at: what follows is signatures and quoted mail."""
BOUND_BONUS = 1.25
"""A flow made for exactly this board or type counts more than one for all."""
DISMISSED_FACTOR = 0.6
"""What is left of a score for each time the flow was dismissed for a similar ticket."""
SIMILAR = 0.4
"""Share of words two summaries have in common from which they count as similar."""
FIT_MIN = 1.5
"""What words in common must weigh together, a summary's word in a title 3: what is below is chance."""
TOP = 3
STEMS_KEPT = 20_000
"""Words whose stems are remembered: customers write new ones for ever."""


@dataclass(frozen=True, slots=True)
class TicketText:
    """What is known of a ticket."""

    summary: str
    description: str = ""
    type: str = ""
    subtype: str = ""
    item: str = ""
    board: str = ""
    devices: Sequence[str] = ()
    """Types and names."""


@dataclass(frozen=True, slots=True)
class FlowText:
    """What is known of a flow."""

    id: int
    title: str
    keywords: Sequence[str] = ()
    about: str = ""
    steps: Sequence[str] = ()
    boards: Sequence[str] = ()
    """Names of the boards it is made for; empty for all."""
    types: Sequence[str] = ()
    """Types it is made for, `Email` or `Email/Outlook`; empty for all."""
    solved: Sequence[str] = ()
    """Summaries of tickets it solved, or was accepted for."""
    dismissed: Sequence[str] = ()
    """Summaries of tickets it was dismissed for."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A flow that fits, and why."""

    flow_id: int
    title: str
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Document:
    flow: FlowText
    words: Mapping[str, float] = field(repr=False)
    """Stem → weighted count over all fields."""
    length: float
    places: Mapping[str, frozenset[str]] = field(repr=False)
    """Field → its stems."""


def rank(ticket: TicketText, flows: Iterable[FlowText], *, top: int = TOP) -> list[Ranked]:
    """Return the flows that fit a ticket, the best first, each with its reasons. None may fit.

    Flows bound to other boards or types are left out.
    """
    candidates = [_document(flow) for flow in flows]
    asked = _asked(ticket)
    if not candidates or not asked:
        return []
    mean = sum(one.length for one in candidates) / len(candidates) or 1.0
    spread = Counter(word for one in candidates for word in one.words)
    found: list[Ranked] = []
    for one in candidates:
        bound = _bound(one.flow, ticket)
        if bound is None:
            continue
        parts = {
            word: weight * _bm25(one, word, spread[word], len(candidates), mean)
            for word, weight in asked.items()
            if word in one.words
        }
        score = sum(parts.values()) * (BOUND_BONUS if bound else 1.0)
        refusals = sum(_similar(ticket.summary, summary) for summary in one.flow.dismissed)
        score *= DISMISSED_FACTOR**refusals
        if _fit(one, asked) >= FIT_MIN:
            found.append(
                Ranked(one.flow.id, one.flow.title, round(score, 2), _reasons(one, parts, bound, ticket))
            )
    found.sort(key=lambda ranked: (-ranked.score, ranked.title))
    return found[:top]


def _fit(one: _Document, asked: Mapping[str, float]) -> float:
    """Return how much a flow and a ticket have in common, however many other flows there are."""
    return sum(
        weight * max(WEIGHTS[name] for name, stems_ in one.places.items() if word in stems_)
        for word, weight in asked.items()
        if word in one.words
    )


def _bm25(one: _Document, word: str, holding: int, total: int, mean: float) -> float:
    rarity = math.log(1 + (total - holding + 0.5) / (holding + 0.5))
    often = one.words[word]
    return rarity * often * (K1 + 1) / (often + K1 * (1 - B + B * one.length / mean))


def _document(flow: FlowText) -> _Document:
    texts = {
        "title": [flow.title],
        "keywords": flow.keywords,
        "solved": flow.solved,
        "steps": flow.steps,
        "about": [flow.about],
    }
    words: Counter[str] = Counter()
    places: dict[str, frozenset[str]] = {}
    for name, given in texts.items():
        # Once a text: a step that says "printer" ten times is not ten times as much about printers.
        counted = Counter(stem for text in given for stem in set(stems(text)))
        places[name] = frozenset(counted)
        for stem, count in counted.items():
            words[stem] += WEIGHTS[name] * (1 + math.log(count))  # type: ignore[assignment]
    return _Document(flow, words, sum(words.values()), places)


def _asked(ticket: TicketText) -> dict[str, float]:
    """Return the stems of a ticket with their weights; a stem in several fields counts by the best."""
    fields = {
        "summary": stems(ticket.summary),
        "description": stems(ticket.description)[:DESCRIPTION_WORDS],
        "kind": stems(" ".join((ticket.type, ticket.subtype, ticket.item))),
        "devices": stems(" ".join(ticket.devices)),
    }
    found: dict[str, float] = {}
    for name, given in fields.items():
        for stem in given:
            found[stem] = max(found.get(stem, 0.0), ASKED[name])
    return found


def _bound(flow: FlowText, ticket: TicketText) -> tuple[str, ...] | None:
    """Return the rules of a flow that hold, none for a flow without rules; None when one does not hold."""
    held: list[str] = []
    if flow.boards:
        if ticket.board.casefold() not in {board.casefold() for board in flow.boards}:
            return None
        held.append(f"Made for the board {ticket.board}.")
    if flow.types:
        names = (ticket.type, f"{ticket.type}/{ticket.subtype}")
        known = {name.casefold() for name in names if name.strip("/")}
        matched = [wanted for wanted in flow.types if wanted.casefold() in known]
        if not matched:
            return None
        held.append(f"Made for tickets of type {matched[0]}.")
    return tuple(held)


def _similar(one: str, other: str) -> bool:
    left, right = set(stems(one)), set(stems(other))
    return bool(left and right) and len(left & right) / len(left | right) >= SIMILAR


def _reasons(
    one: _Document, parts: Mapping[str, float], bound: Sequence[str], ticket: TicketText
) -> tuple[str, ...]:
    """Return why a flow fits, what counts most first."""
    best = sorted(parts, key=lambda stem: -parts[stem])[:4]
    spoken = _spoken(ticket)
    said: list[str] = []
    for name, words in (("title", "title"), ("keywords", "keywords"), ("steps", "steps")):
        hits = [spoken[stem] for stem in best if stem in one.places[name] and stem in spoken]
        if hits and not any(set(hits) <= set(earlier) for earlier in _listed(said)):
            said.append(f"{', '.join(hits)} in its {words}")
    sentence = "; ".join(said[:2])
    reasons = [f"{sentence[:1].upper()}{sentence[1:]}."] if said else []
    similar = sum(_similar(ticket.summary, summary) for summary in one.flow.solved)
    if similar:
        tickets = "a similar ticket" if similar == 1 else f"{similar} similar tickets"
        reasons.append(f"It solved {tickets}.")
    elif not said:
        reasons.append("Its earlier tickets are about the same words.")
    return (*bound, *reasons)


def _listed(said: Sequence[str]) -> list[list[str]]:
    return [sentence.rpartition(" in its ")[0].split(", ") for sentence in said]


def _spoken(ticket: TicketText) -> dict[str, str]:
    """Return stem → the word as the ticket has it."""
    whole = (
        ticket.summary,
        ticket.description,
        ticket.type,
        ticket.subtype,
        ticket.item,
        *ticket.devices,
    )
    spoken: dict[str, str] = {}
    for text in whole:
        for word in significant_words(text):
            for part in _parts(word):
                spoken.setdefault(_stem(part), part)
    return spoken


def stems(text: str) -> list[str]:
    """Return the stems of the words of a text that say something, without doubles, in their order."""
    found = (_stem(part) for word in significant_words(text) for part in _parts(word))
    return list(dict.fromkeys(found))


def _parts(word: str) -> list[str]:
    """Return a word and, of one with hyphens, its parts: `sign-in` is found by `sign`, too."""
    parts = [part for part in word.replace("/", "-").split("-") if len(part) > 1]
    return [word, *parts] if len(parts) > 1 else [word]


_stemmer = snowballstemmer.stemmer("english")


@lru_cache(STEMS_KEPT)
def _stem(word: str) -> str:
    return str(_stemmer.stemWord(word)) if word.isascii() and word.isalpha() else word
