"""Owns how pages say things: each state, kind and feature has its words here, and a tone where it has one.

Tones are good, wait, bad, off and info; see elements/state.html. A new state is a row.
"""

from __future__ import annotations

from typing import NamedTuple

STATES = {
    "unverified": ("Not tested yet", "wait"),
    "connected": ("Connected", "good"),
    "degraded": ("Not answering right now", "wait"),
    "broken": ("Keys refused", "bad"),
    "disabled": ("Switched off", "off"),
}
"""State of a connection → words, tone."""

STATE_HELP = {
    "unverified": "It was stored without a test. Test it, or let the first delivery tell.",
    "connected": "Everything that is queued goes out.",
    "degraded": "What is queued waits and goes out by itself once the PSA answers again.",
    "broken": "What is queued waits until the keys work again.",
    "disabled": "What is queued waits until somebody switches it on.",
}
"""State of a connection → what it means for the queue."""

BROKEN = {"credentials-unreadable": "Stored keys unreadable"}
"""Code of the problem of a broken connection → words that fit better than those of the state."""

DELIVERY_STATES = {
    "ready": ("Queued", "info"),
    "sending": ("Sending", "info"),
    "retrying": ("Waiting to try again", "wait"),
    "unknown": ("Checking", "wait"),
    "delivered": ("Delivered", "good"),
    "dead": ("Needs you", "bad"),
    "discarded": ("Not posted", "off"),
}
"""State of a delivery → words, tone."""

HELD_BY = {
    "earlier": "Waiting for an earlier post",
    "dead": "Waiting for a part that needs you",
    "connection": "Waiting for the connection",
    "permission": "Waiting for a permission",
    "mapping": "Waiting for a member mapping",
    "pause": "Paused",
}
"""What holds an open delivery → words; see `selectors.delivery_held_by`."""


def delivery_words(state: str, held_by: str = "") -> tuple[str, str]:
    """Return words and tone for a delivery: its state, or what a queued one waits for."""
    if held_by and state in ("ready", "retrying", "unknown"):
        tone = "info" if held_by == "earlier" else "wait"
        return HELD_BY.get(held_by, DELIVERY_STATES[state][0]), tone
    return DELIVERY_STATES[state]


KINDS = {
    "analysis": "Internal (staff only)",
    "resolution": "Resolution (customer sees it, prints on invoices)",
    "discussion": "Discussion (customer sees it)",
    "status": "Status",
    "time": "Time entry (its sentence prints on invoices)",
    "document": "File (staff only)",
    "article": "Knowledge-base article",
}
"""Kind of a delivery → words; those of notes are ConnectWise's own."""


class FeatureWords(NamedTuple):
    """How a feature of the permission table is called, and what it is for."""

    label: str
    purpose: str
    essential: bool = False
    """True where nothing can be posted without it."""


FEATURES = {
    "connection": FeatureWords("Test connection", "Tells whether the keys work.", True),
    "lists": FeatureWords("Boards and statuses", "Offers the statuses of a ticket's board.", True),
    "tickets": FeatureWords("Find tickets", "Finds, links and reads tickets.", True),
    "notes": FeatureWords("Post notes", "Puts the documentation on the ticket.", True),
    "status": FeatureWords("Change status", "Sets the status when a session is completed.", True),
    "status_close": FeatureWords("Close tickets", "Without it a closing status is refused in silence."),
    "members": FeatureWords("Members", "Writes notes in the name of your engineers."),
    "companies": FeatureWords("Companies", "Shows whose ticket it is."),
    "contacts": FeatureWords("Contacts", "Shows who asked."),
    "configurations": FeatureWords("Devices", "Shows and attaches the devices of a ticket."),
    "sla": FeatureWords("Service levels", "Shows how much time is left."),
    "project_tickets": FeatureWords("Project tickets", "The same for tickets of projects."),
    "time_entries": FeatureWords("Time entries", "Books the time of a session."),
    "documents": FeatureWords("Attachments", "Attaches an export of the session."),
    "agreements": FeatureWords("Agreements", "Offers the customer's agreements for time."),
    "articles": FeatureWords("Knowledge base", "Turns a resolution into an article."),
    "callbacks": FeatureWords("Callbacks", "Lets the PSA tell us of new and changed tickets."),
}
"""Feature of a permission result → words."""

FEATURE_STATES = {
    "ok": ("OK", "good"),
    "limited": ("Limited", "wait"),
    "denied": ("Denied", "bad"),
    "unknown": ("Unknown", "off"),
}
"""What a probe found out about a feature → words, tone."""

FEATURE_HELP = {
    "limited": "Only records of the API member itself. Give the level All.",
    "unknown": "The role does not tell. The first use will.",
}
"""What a probe found out → a sentence, where the word alone is not enough."""

LEVELS = {"add": "Add", "edit": "Edit", "delete": "Delete", "inquire": "Inquire"}
"""Level of a row of the security role → how the PSA writes it."""

CALLBACK_STATES = {
    "wanted": ("Not registered yet", "wait"),
    "active": ("Active", "good"),
    "paused": ("Paused", "off"),
    "failed": ("Failed", "bad"),
    "removed": ("Removed", "off"),
}
"""State of a callback → words, tone."""


def state_words(state: str, problem: dict[str, str] | None = None) -> tuple[str, str]:
    """Return words and tone for a connection."""
    words, tone = STATES[state]
    code = (problem or {}).get("code", "")
    return (BROKEN.get(code, words), tone) if state == "broken" else (words, tone)
