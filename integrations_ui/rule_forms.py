"""Owns the form of a board's status rules, and how rules are listed: a row a board, with what is doubtful."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms import BoundField

from psa import selectors
from psa.exceptions import InvalidInputError
from psa.selectors import RuleWarning
from psa.services import StatusRuleDraft
from psa.types import Board, Status
from resolutionflow.sessions.models import Outcome

WARNINGS = {
    RuleWarning.NOT_VALID: ("This status is not on the board any more, so nothing is set.", "bad"),
    RuleWarning.NO_TIME_ENTRIES: ("No time entries here.", "wait"),
    RuleWarning.MAILS_CUSTOMER: ("This status mails the customer.", "wait"),
    RuleWarning.NOT_CLOSED: ("This status leaves the ticket open.", "info"),
}
"""What is doubtful about a rule → sentence, tone."""

SILENT_MAY_MAIL = "Silent asks for no mail. Workflow rules of the PSA may still send one."
"""Stands beside `mails-customer` where the rule is silent."""


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule as a row shows it."""

    outcome: str
    status: str
    mail: str
    warnings: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One board with its rules."""

    id: str
    name: str
    lines: Sequence[RuleLine]
    gone: bool = False
    """True when the PSA does not list the board any more."""

    @property
    def doubtful(self) -> bool:
        """True when a rule of the board sets nothing."""
        return any(tone == "bad" for line in self.lines for _text, tone in line.warnings)


def outcome_label(outcome: str) -> str:
    """Return how people call an outcome."""
    labels = dict(Outcome.choices)
    return str(labels.get(outcome, outcome.capitalize()))


def mail_choices(provider_label: str) -> list[tuple[str, str]]:
    """Return the choices of what a status change sends: ("silent", "Silent"), ("as_psa", "As … does")."""
    return [("silent", "Silent"), ("as_psa", f"As {provider_label.removesuffix(' PSA')} does")]


def board_rows(
    rules: Iterable[Any], found: Iterable[Board] | None, provider_label: str
) -> tuple[list[BoardRow], list[BoardRow]]:
    """Return boards that have a rule, and those without; found is None while the PSA was not asked."""
    mails = dict(mail_choices(provider_label))
    order = {outcome: number for number, outcome in enumerate(selectors.outcomes())}
    by_board: dict[str, list[Any]] = {}
    for rule in rules:
        by_board.setdefault(rule.board_id, []).append(rule)
    names = {board_id: of_board[0].board_name or board_id for board_id, of_board in by_board.items()}
    boards = list(found) if found is not None else None
    names |= {board.id: board.name for board in boards or () if board.id in names}
    listed = {board.id for board in boards or ()}
    ruled = [
        BoardRow(
            id=board_id,
            name=names[board_id],
            lines=[
                _line(rule, mails) for rule in sorted(of_board, key=lambda row: order.get(row.outcome, 99))
            ],
            gone=boards is not None and board_id not in listed,
        )
        for board_id, of_board in by_board.items()
    ]
    bare = [BoardRow(board.id, board.name, ()) for board in boards or () if board.id not in by_board]

    def by_name(row: BoardRow) -> tuple[str, str]:
        return row.name.casefold(), row.id

    return sorted(ruled, key=by_name), sorted(bare, key=by_name)


def warning_lines(found: Iterable[RuleWarning], mail: str) -> list[tuple[str, str]]:
    """Return warnings as (sentence, tone)."""
    lines = []
    for warning in found:
        text, tone = WARNINGS[warning]
        if warning is RuleWarning.MAILS_CUSTOMER and mail == "silent":
            text = f"{text} {SILENT_MAY_MAIL}"
        lines.append((text, tone))
    return lines


def _line(rule: Any, mails: dict[str, str]) -> RuleLine:
    warnings = warning_lines(selectors.rule_warnings(rule), rule.mail)
    return RuleLine(outcome_label(rule.outcome), rule.status_name, mails.get(rule.mail, rule.mail), warnings)


class BoardForm(forms.Form):
    """Outcome → status for one board. Which statuses there are is checked by the service."""

    def __init__(
        self,
        board_id: str,
        statuses: Sequence[Status],
        provider_label: str,
        data: Any = None,
        *,
        rules: Iterable[Any] = (),
    ) -> None:
        stored = {
            name: value
            for rule in rules
            for name, value in (
                (f"status_{rule.outcome}", rule.status_id),
                (f"mail_{rule.outcome}", rule.mail),
            )
        }
        # The forms of several boards may stand on one page.
        super().__init__(data, initial=stored, auto_id=f"board-{board_id}-%s")
        self.board_id = board_id
        self.statuses = {status.id: status for status in statuses}
        offered = [("", "Leave the status as it is")]
        offered += [(status.id, _offer(status)) for status in statuses]
        for outcome in selectors.outcomes():
            label = outcome_label(outcome)
            self.fields[f"status_{outcome}"] = forms.CharField(
                required=False, max_length=100, label=label, widget=forms.Select(choices=offered)
            )
            self.fields[f"mail_{outcome}"] = forms.ChoiceField(
                choices=mail_choices(provider_label),
                required=False,
                label=f"Mail when {label.lower()}",
                initial="silent",
            )

    def rows(self) -> list[tuple[str, BoundField, BoundField, list[tuple[str, str]]]]:
        """Return for each outcome its name, both fields, and what is doubtful about the chosen status."""
        return [
            (outcome, self[f"status_{outcome}"], self[f"mail_{outcome}"], self.warnings(outcome))
            for outcome in selectors.outcomes()
        ]

    def warnings(self, outcome: str) -> list[tuple[str, str]]:
        """Return what is doubtful about the status that is chosen for an outcome."""
        status = self.statuses.get(str(self[f"status_{outcome}"].value() or ""))
        if status is None:
            return []
        mail = str(self[f"mail_{outcome}"].value() or "silent")
        return warning_lines(selectors.status_warnings(status, outcome), mail)

    def drafts(self) -> list[StatusRuleDraft]:
        """Return the rules the form asks for. Needs a valid form."""
        return [
            StatusRuleDraft(
                board=self.board_id,
                outcome=outcome,
                status=self.cleaned_data[f"status_{outcome}"],
                mail=self.cleaned_data[f"mail_{outcome}"] or "silent",
            )
            for outcome in selectors.outcomes()
            if self.cleaned_data[f"status_{outcome}"]
        ]

    def errors_place(self, exc: InvalidInputError, drafts: Sequence[StatusRuleDraft]) -> None:
        """Put what the service refused beside its field: `0.status` is the status of the first draft."""
        for place, sentences in exc.fields.items():
            number, _dot, name = place.partition(".")
            if name in ("status", "mail") and number.isdigit() and int(number) < len(drafts):
                text = " ".join(sentences)
                if name == "status":
                    text = f"This status is not on the board any more. Choose one of: {', '.join(sentences)}."
                self.add_error(f"{name}_{drafts[int(number)].outcome}", text)
            else:
                self.add_error(None, " ".join(sentences))
        if not exc.fields:
            self.add_error(None, exc.message)


def _offer(status: Status) -> str:
    marks = []
    if status.closed:
        marks.append("closes the ticket")
    if status.mails_customer:
        marks.append("mails the customer")
    if not status.time_entry_allowed:
        marks.append("no time entries")
    return f"{status.name} ({', '.join(marks)})" if marks else status.name
