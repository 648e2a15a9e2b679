"""The neutral words every provider speaks. Add a field here only when two providers could fill it."""

from psa.types.connection import (
    ConnectionConfig,
    CredentialField,
    Endpoint,
    FeatureResult,
    ProbeResult,
    RoleNeed,
    RoleRow,
)
from psa.types.documents import Document, DocumentDraft, Download
from psa.types.kinds import Capability, Feature, FeatureStatus, NoteKind, RecordType
from psa.types.parts import DocumentPart, NotePart, PartPreview, StatusPart, TimePart
from psa.types.people import Actor, Person, Scope, Tenant
from psa.types.records import (
    Board,
    Company,
    Configuration,
    Contact,
    Member,
    Note,
    NoteDraft,
    Page,
    Raw,
    Ref,
    Status,
    Ticket,
)
from psa.types.time import BillableOption, TimeChoices, TimeDraft, TimeEntry, TimeObjection

__all__ = [
    "Actor",
    "BillableOption",
    "Board",
    "Capability",
    "Company",
    "Configuration",
    "ConnectionConfig",
    "Contact",
    "CredentialField",
    "Document",
    "DocumentDraft",
    "DocumentPart",
    "Download",
    "Endpoint",
    "Feature",
    "FeatureResult",
    "FeatureStatus",
    "Member",
    "Note",
    "NoteDraft",
    "NoteKind",
    "NotePart",
    "Page",
    "PartPreview",
    "Person",
    "ProbeResult",
    "Raw",
    "RecordType",
    "Ref",
    "RoleNeed",
    "RoleRow",
    "Scope",
    "Status",
    "StatusPart",
    "Tenant",
    "Ticket",
    "TimeChoices",
    "TimeDraft",
    "TimeEntry",
    "TimeObjection",
    "TimePart",
]
