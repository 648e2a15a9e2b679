"""Owns handing a session's context to an AI: read, made ready, written down in the audit."""

from __future__ import annotations

from collections import Counter

from django.utils import timezone

from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.exceptions import ConflictError, InvalidInputError
from psa.types import Actor
from resolutionflow.accounts.models import Account
from resolutionflow.flowpilot.bundle import BUDGET_CHARS, BUDGET_MAX, BUDGET_MIN, Bundle, Step, bundle_make
from resolutionflow.sessions import selectors


def bundle_hand_out(
    account: Account, session_id: int, *, actor: Actor, to: str = "FlowPilot", max_chars: int = BUDGET_CHARS
) -> Bundle:
    """Return the bundle of a session's ticket, and write down who got what.

    Shape: to names the receiver; max_chars is BUDGET_MIN to BUDGET_MAX.
    Raises: MissingError; ConflictError `no-ticket`; InvalidInputError; else as `psa.selectors.link_context`.
    """
    if not BUDGET_MIN <= max_chars <= BUDGET_MAX:
        sentence = f"The budget is {BUDGET_MIN:,} to {BUDGET_MAX:,} characters."
        raise InvalidInputError(sentence, fields={"max_chars": [sentence]})
    session = selectors.session_get(account, session_id)
    if session.link_id is None:
        raise ConflictError("This session is not linked to a ticket.", code="no-ticket")
    steps = [
        Step(step.position, step.title, step.body, step.result, step.author_name, step.created_at)
        for step in session.steps.all()
    ]
    made = bundle_make(
        psa_selectors.link_context(account, session.link_id),
        session_id=str(session.pk),
        session_title=session.title,
        steps=steps,
        now=timezone.now(),
        max_chars=max_chars,
    )
    psa_services.context_handed_out(
        account,
        session.link_id,
        actor=actor,
        to=to,
        facts={
            "session": session.pk,
            "parts": Counter([text.part for text in made.texts] + [fact.part for fact in made.facts]),
            "characters": made.used_chars,
            "blacked_out": made.redactions,
        },
    )
    return made
