"""Owns writes to flows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from psa.exceptions import InvalidInputError
from resolutionflow.accounts.models import Account
from resolutionflow.flows.models import Flow, FlowStep

STEPS_MAX = 200
"""More steps than anybody walks through; the limit keeps one request from writing without end."""
KEYWORDS_MAX = 50
KEYWORD_MAX_CHARS = 50
NAMES_MAX = 50
NAME_MAX_CHARS = 100


@dataclass(frozen=True, slots=True)
class StepDraft:
    """A step about to be written; its place in the list is its position."""

    title: str
    body: str = ""


@transaction.atomic
def flow_create(
    account: Account,
    *,
    title: str,
    description: str = "",
    keywords: Sequence[str] = (),
    boards: Sequence[str] = (),
    ticket_types: Sequence[str] = (),
    published: bool = True,
    steps: Sequence[StepDraft] = (),
) -> Flow:
    """Make a flow with its steps, numbered from 1, and return it.

    Raises: InvalidInputError, naming the field.
    """
    _check(title=title, keywords=keywords, steps=steps, boards=boards, ticket_types=ticket_types)
    flow = Flow.objects.create(
        account=account,
        title=title.strip(),
        description=description,
        keywords=keywords_clean(keywords),
        boards=names_clean(boards),
        ticket_types=names_clean(ticket_types),
        published=published,
    )
    FlowStep.objects.bulk_create(
        FlowStep(flow=flow, position=position, title=step.title.strip(), body=step.body)
        for position, step in enumerate(steps, start=1)
    )
    return flow


def keywords_clean(keywords: Sequence[str]) -> list[str]:
    """Return keywords in lower case, without blanks and doubles, in their order."""
    return list(dict.fromkeys(word.strip().lower() for word in keywords if word.strip()))


def names_clean(names: Sequence[str]) -> list[str]:
    """Return names of boards or types without blanks around them and without doubles, in their order."""
    return list({name.strip().casefold(): name.strip() for name in names if name.strip()}.values())


def _check(
    *,
    title: str,
    keywords: Sequence[str],
    steps: Sequence[StepDraft],
    boards: Sequence[str],
    ticket_types: Sequence[str],
) -> None:
    fields: dict[str, list[str]] = {}
    for name, given in (("boards", boards), ("ticket_types", ticket_types)):
        if len(given) > NAMES_MAX or any(len(one) > NAME_MAX_CHARS for one in given):
            fields[name] = [f"Use at most {NAMES_MAX} names of at most {NAME_MAX_CHARS} characters."]
    if not title.strip():
        fields["title"] = ["Give the flow a title."]
    if len(keywords) > KEYWORDS_MAX:
        fields["keywords"] = [f"Use at most {KEYWORDS_MAX} keywords, these are {len(keywords)}."]
    elif any(len(word) > KEYWORD_MAX_CHARS for word in keywords):
        fields["keywords"] = [f"A keyword may have at most {KEYWORD_MAX_CHARS} characters."]
    if len(steps) > STEPS_MAX:
        fields["steps"] = [f"A flow may have at most {STEPS_MAX} steps, these are {len(steps)}."]
    elif any(not step.title.strip() for step in steps):
        fields["steps"] = ["Each step needs a title."]
    if fields:
        raise InvalidInputError("The flow cannot be stored as it is.", fields=fields)
