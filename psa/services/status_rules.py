"""Owns which status an outcome sets on a board: only one that can be set there is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from psa.database import database_now
from psa.exceptions import ConflictError, InvalidInputError, InvalidStatusError, NotFoundError
from psa.models import AuditEntry, Connection, StatusRule
from psa.models.connection import ConnectionState
from psa.models.status_rule import MailChoice
from psa.outbox.lane import status_named
from psa.outbox.rules import board_refresh, facts_of, statuses_of
from psa.selectors.connection import boards, connection_get
from psa.selectors.rule import outcomes, status_rules
from psa.services.locks import connection_lock
from psa.types import Actor, Board, Status, Tenant


@dataclass(frozen=True, slots=True)
class StatusRuleDraft:
    """A rule as somebody wants it."""

    board: str
    """Id of a board."""
    outcome: str
    status: str
    """Id or exact name of a status of that board."""
    mail: str = MailChoice.SILENT.value
    """`as_psa` or `silent`."""


def status_rules_set(
    tenant: Tenant,
    connection_id: int,
    drafts: Sequence[StatusRuleDraft],
    *,
    actor: Actor,
    board_id: str | None = None,
) -> list[StatusRule]:
    """Make the drafts the rules of a connection, or of one board, and return all rules of the connection.

    What is not among them ends. All or nothing; without drafts nobody is asked.
    Raises: InvalidInputError `unknown-status`, its fields (`0.status`) naming the valid ones, or `invalid`;
        MissingError; ConflictError `connection-disabled`; ProviderError.
    """
    connection = connection_get(tenant, connection_id)
    chosen = _chosen(tenant, connection, drafts, board_id)
    now = database_now()
    with transaction.atomic():
        connection_lock(connection.pk)
        rows = status_rules(tenant, connection_id)
        rows = rows if board_id is None else rows.filter(board_id=board_id)
        wanted = {(board.id, draft.outcome) for draft, board, _status in chosen}
        before = [_as_fact(row) for row in rows]
        gone = [row.pk for row in rows if (row.board_id, row.outcome) not in wanted]
        StatusRule.objects.filter(pk__in=gone).delete()
        for draft, board, status in chosen:
            StatusRule.objects.update_or_create(
                connection=connection,
                board_id=board.id,
                outcome=draft.outcome,
                defaults={
                    "tenant_id": connection.tenant_id,
                    "board_name": board.name[:100],
                    "mail": draft.mail,
                    "checked_at": now,
                    **facts_of(status),
                },
            )
        after = [_as_fact(row) for row in rows.all()]
        if after != before:
            _audit(connection, actor, {"before": before, "after": after})
    return list(status_rules(tenant, connection_id))


def status_rules_refresh(tenant: Tenant, connection_id: int) -> list[StatusRule]:
    """Read the statuses of every board that has a rule again, and return the rules as they stand then.

    Raises: MissingError; ConflictError `connection-disabled`; ProviderError.
    """
    connection = connection_get(tenant, connection_id)
    if connection.state == ConnectionState.DISABLED:
        raise ConflictError("The connection is disabled.", code="connection-disabled")
    rows = status_rules(tenant, connection_id)
    for board_id in dict.fromkeys(rows.values_list("board_id", flat=True)):
        board_refresh(connection, board_id, database_now())
    return list(rows.all())


def _chosen(
    tenant: Tenant, connection: Connection, drafts: Sequence[StatusRuleDraft], only_board: str | None
) -> list[tuple[StatusRuleDraft, Board, Status]]:
    """Return the drafts with the boards and statuses they mean.

    Raises: InvalidInputError, naming all that is wrong: `0.status` is the status of the first draft.
    """
    if not drafts:
        return []
    known = {board.id: board for board in boards(tenant, connection.pk)}
    errors: dict[str, list[str]] = {}
    wrong_status = False
    chosen: list[tuple[StatusRuleDraft, Board, Status]] = []
    seen = set[tuple[str, str]]()
    for number, draft in enumerate(drafts):
        board = known.get(draft.board) if only_board in (None, draft.board) else None
        place = (draft.board, draft.outcome)
        if draft.outcome not in outcomes():
            errors[f"{number}.outcome"] = [f"Choose one of: {', '.join(outcomes())}."]
        if draft.mail not in MailChoice.values:
            errors[f"{number}.mail"] = [f"Choose one of: {', '.join(MailChoice.values)}."]
        if place in seen:
            errors[f"{number}.outcome"] = ["This board has a rule for this outcome already."]
        seen.add(place)
        if board is None:
            errors[f"{number}.board"] = [f"There is no active board {draft.board} here."]
            continue
        try:
            chosen.append((draft, board, _status(connection, board.id, draft.status)))
        except InvalidStatusError as exc:
            wrong_status = True
            errors[f"{number}.status"] = list(exc.valid_names) or ["The board has no active status."]
        except NotFoundError:
            errors[f"{number}.board"] = [f"The board {board.name} is gone, or hidden from our API member."]
    if errors:
        raise InvalidInputError(
            "Some rules name no status that can be set on their board; `errors` lists those there are."
            if wrong_status
            else "Some rules cannot be stored.",
            code="unknown-status" if wrong_status else "invalid",
            fields=errors,
        )
    return chosen


def _status(connection: Connection, board_id: str, wanted: str) -> Status:
    try:
        return status_named(statuses_of(connection, board_id), wanted)
    except InvalidStatusError:
        # It may have been made since the board was read.
        return status_named(statuses_of(connection, board_id, refresh=True), wanted)


def _as_fact(rule: StatusRule) -> dict[str, str]:
    return {
        "board": rule.board_name or rule.board_id,
        "outcome": rule.outcome,
        "status": rule.status_name,
        "mail": rule.mail,
    }


def _audit(connection: Connection, actor: Actor, facts: dict[str, Any]) -> None:
    AuditEntry.objects.create(
        tenant_id=connection.tenant_id,
        connection=connection,
        actor_id=actor.user_id,
        actor_name=actor.name,
        verb="status_rules.changed",
        object_type="connection",
        object_id=str(connection.pk),
        facts=facts,
    )
