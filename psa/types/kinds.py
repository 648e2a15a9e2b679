"""Owns the neutral kinds: of notes, records, capabilities and features."""

from __future__ import annotations

from enum import StrEnum


class NoteKind(StrEnum):
    """Who reads a note. The kind alone decides; there is no other visibility switch."""

    ANALYSIS = "analysis"
    """Internal: only the MSP's staff read it."""
    RESOLUTION = "resolution"
    """The customer reads it, as the answer to the ticket."""
    DISCUSSION = "discussion"
    """The customer reads it, as part of the conversation."""

    @property
    def customer_visible(self) -> bool:
        """True when the customer can read notes of this kind."""
        return self is not NoteKind.ANALYSIS


class RecordType(StrEnum):
    """Which of a PSA's two ticket collections holds a ticket."""

    SERVICE = "service"
    """A help-desk ticket."""
    PROJECT = "project"
    """A ticket or issue inside a project."""


class Capability(StrEnum):
    """An operation group a provider may offer. Core code asks for one, it never names a vendor."""

    SERVICE_TICKETS = "service_tickets"
    PROJECT_TICKETS = "project_tickets"
    NOTES = "notes"
    NOTE_REMOVAL = "note_removal"
    NOTE_CHANGES = "note_changes"
    STATUS = "status"
    MEMBERS = "members"
    BOARDS = "boards"
    COMPANIES = "companies"
    CONTACTS = "contacts"
    CONFIGURATIONS = "configurations"
    SLA = "sla"
    PRIORITIES = "priorities"
    TIME_ENTRIES = "time_entries"
    DOCUMENTS = "documents"
    AGREEMENTS = "agreements"
    ARTICLES = "articles"
    CHANGES = "changes"
    CALLBACKS = "callbacks"
    PROJECTS = "projects"
    ACTIVITIES = "activities"
    WORKFLOWS = "workflows"


class Feature(StrEnum):
    """What a product feature is called in a permission result."""

    CONNECTION = "connection"
    LISTS = "lists"
    MEMBERS = "members"
    TICKETS = "tickets"
    COMPANIES = "companies"
    CONTACTS = "contacts"
    CONFIGURATIONS = "configurations"
    SLA = "sla"
    NOTES = "notes"
    STATUS = "status"
    STATUS_CLOSE = "status_close"
    PROJECT_TICKETS = "project_tickets"
    TIME_ENTRIES = "time_entries"
    DOCUMENTS = "documents"
    AGREEMENTS = "agreements"
    ARTICLES = "articles"
    CALLBACKS = "callbacks"


class FeatureStatus(StrEnum):
    """What a probe found out about one feature."""

    OK = "ok"
    """All records can be used."""
    LIMITED = "limited"
    """Only records of the API member itself can be used."""
    DENIED = "denied"
    """The security role lacks a row or level; `grant` says which."""
    UNKNOWN = "unknown"
    """Neither the role nor a list read could tell; the first delivery will."""
