"""Owns how the audit is read: what was done in words, before and after, and the filters of its page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.http import urlencode

from integrations_ui.dates import day_end, day_start
from integrations_ui.rule_forms import outcome_label
from integrations_ui.wording import KINDS
from psa import selectors
from psa.types import Scope, Tenant
from resolutionflow.accounts.people import people

VERBS = {
    "connection.created": "connected a PSA",
    "connection.changed": "changed the connection",
    "connection.tested": "tested the connection",
    "connection.disabled": "switched the connection off",
    "connection.enabled": "switched the connection on",
    "connection.reencrypted": "encrypted the stored keys anew",
    "connection.deleted": "deleted the connection",
    "member.mapped": "mapped a member",
    "member.unmapped": "ended a mapping",
    "status_rules.changed": "changed status rules",
    "note.delivered": "posted a note",
    "status.set": "set the status",
    "status.found": "found the status set already",
    "note.hidden": "hid a note from the customer",
    "note.hide-refused": "was refused to hide a note",
    "note.hide-unknown": "tried to hide a note, without a clear answer",
    "note.corrected": "corrected a note",
    "note.correct-refused": "was refused to correct a note",
    "note.correct-unknown": "tried to correct a note, without a clear answer",
    "note.removed": "removed a note",
    "note.remove-refused": "was refused to remove a note",
    "note.remove-unknown": "tried to remove a note, without a clear answer",
    "note.double-removed": "removed an extra note",
    "note.double-remove-refused": "was refused to remove an extra note",
    "note.double-remove-unknown": "tried to remove an extra note, without a clear answer",
    "note.move-queued": "queued a note for another ticket",
    "note.moved": "moved a note to another ticket",
    "note.move-refused": "was refused to take a moved note off its ticket",
    "note.move-unknown": "tried to take a moved note off its ticket, without a clear answer",
    "delivery.retried": "retried a post",
    "delivery.edited": "edited a post and retried it",
    "delivery.discarded": "discarded a post",
    "delivery.acknowledged": "looked at a problem",
    "delivery.handed_over": "handed a post over",
    "callback.added": "asked the PSA to tell of changes",
    "callback.removed": "took a callback back",
    "callback.replayed": "had a message of the PSA judged again",
    "context.handed_out": "gave the context of a ticket to an AI",
}
"""Verb of an audit entry → what its person did: "Erin Owens posted a note"."""

GROUPS = {
    "note.": "Notes",
    "status.": "Statuses of tickets",
    "callback.": "Callbacks",
    "context.": "Given to an AI",
    "delivery.": "Retried, edited, discarded",
    "member.": "Members",
    "status_rules.": "Status rules",
    "connection.": "Connections",
}
"""What a verb begins with → words."""

_SHOWN_APART = {"before", "after", "reason", "delivery", "unit", "already", "error"}
"""Facts that have a place of their own, or say nothing to people."""
_FACTS = {
    "name": "Name",
    "site": "Address",
    "state": "State",
    "user_name": "Person",
    "member_name": "Member",
    "member": "Member ID",
    "how": "How",
    "external_id": "ID in the PSA",
    "mailed_before": "Had been mailed",
    "problem": "Problem",
    "state_before": "State before",
    "replaces": "Takes the place of post",
    "to_ticket": "To ticket",
    "callbacks_left_behind": "Callbacks left behind",
    "type": "Kind",
    "level": "Level",
    "object_id": "ID",
    "receipt": "Message",
    "to": "To",
    "session": "Session",
    "parts": "Parts",
    "characters": "Characters",
    "blacked_out": "Blacked out",
    "fields": "Changed",
    "version": "Version",
}
"""Name of a fact → words."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One entry as pages show it."""

    entry: Any
    words: str
    kind: str
    ticket_id: str
    company: str
    summary: str
    ticket_url: str
    delivery_id: int | None
    """The delivery it is about, None for what is about none, or was removed since."""
    reason: str
    before: str
    after: str
    has_texts: bool
    """True when before or after is known."""
    facts: Sequence[tuple[str, str]]
    error: str
    already: bool
    """True when it was as wanted already, so that nothing was sent."""


class AuditFilter(forms.Form):
    """The filters of the audit. What is wrong with one is said, and that one does not count."""

    who = forms.CharField(required=False, max_length=200, label="Engineer")
    company = forms.CharField(required=False, max_length=255, label="Company")
    ticket = forms.CharField(required=False, max_length=40, label="Ticket")
    connection = forms.TypedChoiceField(required=False, coerce=int, empty_value=None, label="Connection")
    what = forms.ChoiceField(required=False, label="What", choices=[("", "Everything"), *GROUPS.items()])
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, scope: Scope, data: Any) -> None:
        super().__init__(data, auto_id="filter-%s")
        self.scope = scope
        found = [(row.pk, row.name) for row in selectors.connections(scope.tenant)]
        self.fields["connection"].choices = [("", "Any"), *found]  # type: ignore[attr-defined]
        self.fields["who"].widget.attrs |= {"list": "engineers", "autocomplete": "off"}
        self.fields["ticket"].widget.attrs |= {"inputmode": "numeric", "placeholder": "Number"}

    def engineers(self) -> list[str]:
        """Return the names of who works here, to choose from."""
        return list(dict.fromkeys(person.name for person in people(self.scope.tenant)))

    @property
    def values(self) -> dict[str, Any]:
        """What counts: the filters that are set and make sense."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}

    @property
    def query(self) -> str:
        """The filters as a query string that goes before another parameter: `ticket=4711&`."""
        found = {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in self.values.items()
        }
        return f"{urlencode(found)}&" if found else ""

    def entries(self) -> QuerySet[Any]:
        """Return the entries that the filters let through, the newest first."""
        values = self.values
        return selectors.audit_entries(
            self.scope.tenant,
            who=values.get("who", ""),
            ticket_id=values.get("ticket", "").lstrip("#"),
            connection_id=values.get("connection"),
            company=values.get("company", ""),
            verb=values.get("what", ""),
            since=day_start(values["since"]) if "since" in values else None,
            until=day_end(values["until"]) if "until" in values else None,
        )


def audit_lines(tenant: Tenant, entries: Iterable[Any]) -> list[AuditLine]:
    """Return the lines of entries, with the tickets of their deliveries. Costs one query more."""
    rows = list(entries)
    ids = {int(row.object_id) for row in rows if row.object_type == "delivery" and row.object_id.isdecimal()}
    known = {found.pk: found for found in selectors.deliveries(tenant).filter(pk__in=ids).defer("payload")}
    return [_line(row, known) for row in rows]


def _line(entry: Any, known: dict[int, Any]) -> AuditLine:
    delivery = None
    if entry.object_type == "delivery" and entry.object_id.isdecimal():
        delivery = known.get(int(entry.object_id))
    facts: dict[str, Any] = entry.facts
    reason = str(facts.get("reason") or "")
    if not reason and delivery is not None and entry.verb == "delivery.discarded":
        reason = delivery.discard_reason
    link = delivery.link if delivery is not None else None
    before, after = _text(facts.get("before")), _text(facts.get("after"))
    return AuditLine(
        entry=entry,
        words=_words(entry, facts),
        kind=KINDS.get(entry.kind, entry.kind),
        # A note that was moved stands elsewhere now: the entry knows where it stood then.
        ticket_id=entry.ticket_id or (link.ticket_id if link else ""),
        company=getattr(entry, "company", "") or (link.company_name if link else ""),
        summary=link.summary if link and entry.ticket_id in ("", link.ticket_id) else "",
        ticket_url=link.url if link and entry.ticket_id in ("", link.ticket_id) else "",
        delivery_id=delivery.pk if delivery is not None else None,
        reason=reason,
        before=before,
        after=after,
        has_texts=bool(before or after),
        facts=_facts(facts),
        error=str(facts.get("error") or ""),
        already=bool(facts.get("already")),
    )


def _words(entry: Any, facts: dict[str, Any]) -> str:
    words = VERBS.get(entry.verb) or f"did: {entry.verb}"
    if entry.object_type == "member_mapping" and facts.get("user_name"):
        return f"{words}: {facts['user_name']} ↔ {facts.get('member_name', '')}"
    return words


def _facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (_FACTS.get(name) or name.replace("_", " ").capitalize(), _text(value))
        for name, value in facts.items()
        if name not in _SHOWN_APART and value not in ("", None, [], {})
    ]


def _text(value: Any) -> str:
    """Return a stored fact as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return "\n".join(_pairs(row) for row in value)
    if isinstance(value, dict):
        return _pairs(value)
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return str(value)


def _pairs(row: dict[str, Any]) -> str:
    if {"board", "outcome", "status"} <= row.keys():
        mail = "silent" if row.get("mail") == "silent" else "mails as the PSA does"
        return f"{row['board']}: {outcome_label(str(row['outcome']))} → {row['status']} ({mail})"
    return " · ".join(
        f"{name.replace('_', ' ')}: {item if isinstance(item, str | int | float) else json.dumps(item)}"
        for name, item in row.items()
    )
