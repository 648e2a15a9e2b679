"""Owns the JSON shapes of sessions: what is answered, and what a body may hold."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from psa.api.schema import EnumField, shaped
from psa.api.serializers import StrictSerializer, TextField
from psa.types import NoteKind, RecordType
from resolutionflow.sessions.models import TITLE_MAX_CHARS, FlowSession, Outcome, SessionState, SessionStep

ID_MAX = 2**63 - 1

_RECORD_TYPES = {
    "service": RecordType.SERVICE,
    "serviceticket": RecordType.SERVICE,
    "project": RecordType.PROJECT,
    "projectticket": RecordType.PROJECT,
    "projectissue": RecordType.PROJECT,
}


@shaped({"oneOf": [{"type": "string"}, {"type": "integer"}]})
class PsaIdField(serializers.CharField):
    """An id of the PSA, or a name that may stand for it: a string or an integer."""


@shaped({"type": "string", "enum": [kind.value for kind in RecordType]})
class RecordTypeField(serializers.Field):  # type: ignore[type-arg]
    """`service` or `project`; `ServiceTicket`, `ProjectTicket` and `ProjectIssue` are understood, too."""

    default_error_messages = {"unknown": "Write service or project."}

    def to_internal_value(self, data: Any) -> RecordType:
        """Return the record type."""
        found = _RECORD_TYPES.get(data.strip().lower()) if isinstance(data, str) else None
        if found is None:
            self.fail("unknown")
        return found

    def to_representation(self, value: Any) -> str:
        """Return the word."""
        return str(value)


# answers ----------------------------------------------------------------------------------------


class SessionTicketSerializer(serializers.Serializer[Any]):
    """The ticket a session is linked to, and who linked it."""

    connection = serializers.IntegerField(source="link.connection_id")
    ticket_id = serializers.CharField(source="link.ticket_id")
    record_type = EnumField(RecordType, source="link.record_type")
    summary = serializers.CharField(source="link.summary", allow_blank=True)
    board = serializers.CharField(source="link.board_name", allow_blank=True)
    url = serializers.CharField(source="link.url", allow_blank=True)
    linked_by = serializers.CharField(source="linked_by_name")
    linked_at = serializers.DateTimeField()


class StepSerializer(serializers.ModelSerializer[SessionStep]):
    """One step, in its place."""

    author = serializers.CharField(source="author_name")

    class Meta:
        model = SessionStep
        fields = ["id", "position", "title", "body", "result", "author", "created_at"]
        read_only_fields = fields


class SessionSummarySerializer(serializers.Serializer[Any]):
    """A session in a list. Needs `flow` and `link` joined, as `selectors.sessions` does it."""

    id = serializers.IntegerField()
    title = serializers.CharField()
    state = EnumField(SessionState)
    outcome = serializers.SerializerMethodField(help_text="null while the session is open.")
    flow = serializers.IntegerField(source="flow_id", allow_null=True)
    ticket = serializers.SerializerMethodField(help_text="null without a linked ticket.")
    unit = serializers.IntegerField(
        source="unit_id", allow_null=True, help_text="What the completion queued."
    )
    created_by = serializers.CharField(source="created_by_name")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)

    @shaped(EnumField(Outcome, allow_null=True))
    def get_outcome(self, session: FlowSession) -> str | None:
        """Return how it ended, or None."""
        return session.outcome or None

    @shaped(SessionTicketSerializer(allow_null=True))
    def get_ticket(self, session: FlowSession) -> dict[str, Any] | None:
        """Return the linked ticket, or None."""
        if session.link_id is None:
            return None
        data: dict[str, Any] = SessionTicketSerializer(session).data
        return data


class PauseSerializer(serializers.Serializer[Any]):
    """A stretch in which nobody worked."""

    start = serializers.DateTimeField(source="started_at")
    end = serializers.DateTimeField(source="ended_at", allow_null=True, help_text="null while it lasts.")
    paused_by = serializers.CharField(source="paused_by_name", allow_blank=True)


class SessionSerializer(SessionSummarySerializer):
    """One session with everything that was done. Lists leave steps, pauses and closing summary out."""

    resolution = serializers.CharField(allow_blank=True, help_text="The closing summary.")
    steps = StepSerializer(many=True, source="steps.all")
    paused_at = serializers.DateTimeField(allow_null=True, help_text="null while work goes on.")
    pauses = PauseSerializer(many=True, source="pauses.all")


class DocumentationSerializer(serializers.Serializer[Any]):
    """Both texts of a session as they read now."""

    analysis = serializers.CharField(help_text="For staff: header, steps with results, closing summary.")
    resolution = serializers.CharField(
        allow_blank=True, help_text="For the customer: the closing summary, never a step; empty without one."
    )


# bodies -----------------------------------------------------------------------------------------


class SessionCreateSerializer(StrictSerializer):
    """A new session."""

    title = serializers.CharField(max_length=TITLE_MAX_CHARS)
    flow = serializers.IntegerField(min_value=1, max_value=ID_MAX, required=False, allow_null=True)


class SessionChangeSerializer(StrictSerializer):
    """Changes of an open session. What is left out stays."""

    title = serializers.CharField(max_length=TITLE_MAX_CHARS, required=False)
    flow = serializers.IntegerField(min_value=1, max_value=ID_MAX, required=False, allow_null=True)
    resolution = TextField(
        allow_blank=True, required=False, help_text="The closing summary: the customer reads it."
    )


class StepCreateSerializer(StrictSerializer):
    """A step that was done."""

    title = serializers.CharField(max_length=TITLE_MAX_CHARS, required=False, allow_blank=True, default="")
    body = TextField(allow_blank=True, help_text="What was done.")
    result = TextField(allow_blank=True, required=False, default="", help_text="What it showed.")


class TicketLinkSerializer(StrictSerializer):
    """The ticket a session is about."""

    connection = serializers.IntegerField(min_value=1, max_value=ID_MAX)
    ticket_id = PsaIdField(max_length=40)
    record_type = RecordTypeField(
        required=False, allow_null=True, help_text="Left out: both places are looked up."
    )


class NoteSerializer(StrictSerializer):
    """A note to the linked ticket."""

    kind = EnumField(
        NoteKind,
        help_text="`analysis`: staff only. `resolution`, `discussion`: the customer reads it.",
    )
    text = TextField(
        allow_blank=True,
        required=False,
        allow_null=True,
        default=None,
        help_text="Left out: the documentation (`analysis`) or the closing summary (`resolution`).",
    )
    notify = serializers.BooleanField(
        default=False, help_text="Lets the PSA mail the note; never an analysis."
    )


class StatusChangeSerializer(StrictSerializer):
    """A new status for the linked ticket."""

    status = PsaIdField(max_length=100, help_text="Id or exact name of a status of the ticket's board.")
    notify = serializers.BooleanField(default=False, help_text="Lets the PSA mail as its own rules say.")
