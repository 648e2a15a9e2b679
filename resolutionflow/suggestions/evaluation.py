"""Owns the offline evaluation of the ranking: labelled tickets of our own, beside a plain count of keywords.

The set is `evaluation.json`. A ticket never counts as its own past: with history, every other ticket is known
as solved by its flow.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from resolutionflow.suggestions.ranking import FlowText, TicketText, rank

Ranker = Callable[[TicketText, Sequence[FlowText]], list[int]]
"""Return ids of flows, the best first."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares of tickets, 0 to 1: the right flow first, among the first three; no suggestion at all."""

    name: str
    tickets: int
    top1: float
    top3: float
    silent: float


@cache
def labelled() -> Mapping[str, Any]:
    """Return the set.

    Shape: {"flows": [{key, title, keywords, steps}], "tickets": [{flow, summary, description}]}.
    """
    found: Mapping[str, Any] = json.loads((files(__package__) / "evaluation.json").read_text())
    return found


def evaluate() -> list[Accuracy]:
    """Return how often each way of ranking is right, the plain one first."""
    return [
        _measure("keyword count", keyword_count, history=False),
        _measure("BM25", _bm25, history=False),
        _measure("BM25 with the other tickets as history", _bm25, history=True),
    ]


def keyword_count(ticket: TicketText, flows: Sequence[FlowText]) -> list[int]:
    """Rank by how many keywords of a flow the ticket's text contains: what a plain rule would do."""
    said = f"{ticket.summary} {ticket.description}".casefold()
    counted = [(sum(word.casefold() in said for word in flow.keywords), flow) for flow in flows]
    ranked = sorted((pair for pair in counted if pair[0]), key=lambda pair: (-pair[0], pair[1].title))
    return [flow.id for _, flow in ranked]


def _bm25(ticket: TicketText, flows: Sequence[FlowText]) -> list[int]:
    return [ranked.flow_id for ranked in rank(ticket, flows)]


def _measure(name: str, ranker: Ranker, *, history: bool) -> Accuracy:
    flows, tickets = labelled()["flows"], labelled()["tickets"]
    numbers = {flow["key"]: number for number, flow in enumerate(flows, start=1)}
    first = among = silent = 0
    for place, ticket in enumerate(tickets):
        texts = [
            FlowText(
                id=numbers[flow["key"]],
                title=flow["title"],
                keywords=flow["keywords"],
                steps=flow["steps"],
                solved=[
                    other["summary"]
                    for index, other in enumerate(tickets)
                    if history and index != place and other["flow"] == flow["key"]
                ],
            )
            for flow in flows
        ]
        found = ranker(TicketText(ticket["summary"], ticket["description"]), texts)[:3]
        right = numbers[ticket["flow"]]
        first += found[:1] == [right]
        among += right in found
        silent += not found
    total = len(tickets)
    return Accuracy(name, total, first / total, among / total, silent / total)
