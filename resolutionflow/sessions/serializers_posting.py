"""Owns the JSON shapes of what sessions post: time, files, completion, and the preview of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework import serializers

from psa.api.schema import EnumField, shaped
from psa.api.serializers import AuthorSerializer, NamedSerializer, StrictSerializer, TextField
from psa.types import OVERRULABLE, BillableOption
from resolutionflow.sessions.models import Outcome
from resolutionflow.sessions.serializers import PsaIdField


@shaped({"type": "string", "format": "date-time"})
class MomentField(serializers.Field):  # type: ignore[type-arg]
    """A date with a time, ISO 8601. Without an offset it is meant in the zone of whoever asks."""

    default_error_messages = {
        "unreadable": "Write a date with its time, such as 2026-03-02T14:00 or 2026-03-02T14:00:00+01:00."
    }

    def to_internal_value(self, data: Any) -> datetime:
        """Return the time, naive when it has no offset."""
        found = None
        if isinstance(data, str) and "T" in data.strip().upper().replace(" ", "T"):
            try:
                found = parse_datetime(data.strip())
            except ValueError:  # 31 February
                found = None
        if found is None:
            self.fail("unreadable")
        return found

    def to_representation(self, value: Any) -> str:
        """Return the time as it was given."""
        return str(value.isoformat())


# answers ----------------------------------------------------------------------------------------


class ExistingTimeSerializer(serializers.Serializer[Any]):
    """A time entry that is on the ticket already."""

    id = serializers.CharField()
    engineer = serializers.CharField(source="member.name")
    start = serializers.DateTimeField(source="started_at", allow_null=True)
    end = serializers.DateTimeField(source="ended_at", allow_null=True)
    hours = serializers.FloatField(source="actual_hours")
    billed_hours = serializers.FloatField(allow_null=True, help_text="As the PSA rounds them.")
    notes = serializers.CharField(allow_blank=True, help_text="Prints on the invoice.")


class ObjectionSerializer(serializers.Serializer[Any]):
    """What stands against a time entry. A person may overrule `overlap` and `same-day`."""

    code = serializers.CharField()
    text = serializers.CharField()
    binding = serializers.BooleanField(help_text="true: the PSA will refuse it.")
    entries = ExistingTimeSerializer(many=True)


class PartPreviewSerializer(serializers.Serializer[Any]):
    """One delivery a completion would queue."""

    kind = serializers.CharField()
    part = serializers.IntegerField()
    parts = serializers.IntegerField()
    text = serializers.CharField(
        help_text="As it would stand on the ticket: a note, the invoice sentence, a file's name, a status."
    )
    visible_to = serializers.ChoiceField(["staff", "customer"])
    mails = serializers.ListField(child=serializers.CharField(), help_text="Who is mailed, in words.")
    author = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField(help_text="Resulting status; null for notes.")
    notes = serializers.ListField(child=serializers.CharField(), help_text="What one should know.")
    internal_text = serializers.CharField(
        allow_blank=True, help_text="For staff only, beside the `text` of a time entry."
    )
    hours = serializers.FloatField(allow_null=True, help_text="Sent with a time entry; null for others.")
    billed_hours = serializers.FloatField(
        allow_null=True, help_text="What the PSA makes of them; null where it cannot be read."
    )
    objections = ObjectionSerializer(many=True)
    size = serializers.IntegerField(allow_null=True, help_text="Bytes of a file; null for others.")

    @shaped(AuthorSerializer)
    def get_author(self, part: Any) -> dict[str, str]:
        """Return who the ticket would show."""
        return {"name": part.author, "kind": part.author_kind}

    def get_status(self, part: Any) -> str | None:
        """Return the status, or None."""
        return part.status or None


class LeftOutSerializer(serializers.Serializer[Any]):
    """A part that is not posted, and why."""

    kind = serializers.CharField()
    reason = serializers.CharField()


class PostingPreviewSerializer(serializers.Serializer[Any]):
    """What a call would queue. Nothing was stored."""

    dry_run = serializers.SerializerMethodField()
    deliveries = PartPreviewSerializer(many=True, source="parts")
    left_out = LeftOutSerializer(many=True)

    def get_dry_run(self, preview: Any) -> bool:
        """Return true, so that nobody takes this for a unit."""
        return True


class CompletionPreviewSerializer(PostingPreviewSerializer):
    """What a completion would do. Nothing was stored."""

    outcome = EnumField(Outcome)
    status = serializers.SerializerMethodField(
        help_text="Resulting status; null when the ticket keeps its own."
    )

    def get_status(self, preview: Any) -> str | None:
        """Return the status, or None."""
        return preview.status or None


class EngineerTimeSerializer(serializers.Serializer[Any]):
    """When one engineer worked on a session, as its steps and pauses tell."""

    user = serializers.IntegerField(source="worker.user_id", allow_null=True)
    engineer = serializers.CharField(source="worker.name")
    start = serializers.DateTimeField(source="started_at")
    end = serializers.DateTimeField(source="ended_at")
    deduct_minutes = serializers.SerializerMethodField()
    hours = serializers.SerializerMethodField(help_text="Without the pauses, to the hundredth.")
    left_out = serializers.SerializerMethodField(help_text="Why it gets no entry; null when it does.")

    def get_deduct_minutes(self, span: Any) -> int:
        """Return the pauses in minutes."""
        return int(span.deduct_s // 60)

    def get_hours(self, span: Any) -> float:
        """Return the hours that were worked."""
        return round(int(span.worked_s) / 3600, 2)

    def get_left_out(self, span: Any) -> str | None:
        """Return the reason, or None."""
        return span.objection or None


class TimeChoicesSerializer(serializers.Serializer[Any]):
    """What can be chosen for your time on this ticket, and the company's rules."""

    work_types = NamedSerializer(many=True)
    work_roles = NamedSerializer(many=True)
    agreements = NamedSerializer(many=True)
    rounding_hours = serializers.FloatField(allow_null=True, help_text="null where it cannot be read.")
    notes_required = serializers.BooleanField()
    disabled = serializers.BooleanField(help_text="true: the company takes no time entries.")


class SessionTimeSerializer(serializers.Serializer[Any]):
    """Everything one needs to enter time for a session."""

    zone = serializers.CharField(help_text="Your time zone: times without an offset are meant there.")
    notes = serializers.CharField(allow_blank=True, help_text="Suggested sentence for the invoice.")
    engineers = EngineerTimeSerializer(many=True, help_text="You are among them, even without a step.")
    choices = TimeChoicesSerializer(allow_null=True, help_text="null while the PSA cannot tell.")
    entries = ExistingTimeSerializer(many=True, help_text="Your time on this ticket on that day.")
    objections = ObjectionSerializer(many=True, help_text="What stands against your time as suggested.")
    problem = serializers.CharField(allow_null=True, help_text="Why the PSA could not tell; null otherwise.")


class DocumentSerializer(serializers.Serializer[Any]):
    """A file on the ticket."""

    id = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    file_name = serializers.CharField(allow_blank=True)
    size = serializers.IntegerField(allow_null=True, help_text="Bytes; null where the PSA does not tell.")
    customer_visible = serializers.BooleanField()
    created_at = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField(allow_blank=True)


class DocumentListSerializer(serializers.Serializer[Any]):
    """The files of a ticket, in one page."""

    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = DocumentSerializer(many=True)


# bodies -----------------------------------------------------------------------------------------


class TimeSerializer(StrictSerializer):
    """Time of whoever asks."""

    start = MomentField()
    end = MomentField()
    deduct_minutes = serializers.IntegerField(default=0, min_value=0, max_value=24 * 60)
    notes = TextField(
        required=False,
        allow_null=True,
        allow_blank=True,
        default=None,
        help_text="One sentence that prints on the invoice, never a step. Left out: a neutral one, or none.",
    )
    billable_option = EnumField(
        BillableOption, required=False, allow_null=True, default=None, help_text="Left out: the PSA decides."
    )
    work_type = PsaIdField(required=False, allow_null=True, default=None, max_length=40)
    work_role = PsaIdField(required=False, allow_null=True, default=None, max_length=40)
    agreement = PsaIdField(required=False, allow_null=True, default=None, max_length=40)
    hold = serializers.BooleanField(default=False, help_text="Queues it held, until a lead lets it go.")
    accept = serializers.ListField(
        child=serializers.ChoiceField(list(OVERRULABLE)),
        default=list,
        help_text="Objections that you overrule.",
    )


class TimePostSerializer(TimeSerializer):
    """Your time on the session's ticket."""

    dry_run = serializers.BooleanField(default=False, help_text="Answers what would be done, stores nothing.")


class CompletionTimeSerializer(TimeSerializer):
    """Your time, and that of colleagues who worked on the session."""

    skip = serializers.BooleanField(
        default=False, help_text="Leaves out the entry of an engineer who has time there already."
    )
    only_mine = serializers.BooleanField(default=False, help_text="Enters nothing for colleagues.")


class ExportSerializer(StrictSerializer):
    """The session's files."""

    dry_run = serializers.BooleanField(default=False, help_text="Answers what would be done, stores nothing.")


class CompletionSerializer(StrictSerializer):
    """How a session ends. So far `create_article` is 422 `unsupported`."""

    UNSUPPORTED = {
        "create_article": "Knowledge-base articles are not built yet: leave `create_article` out.",
    }

    outcome = EnumField(Outcome)
    resolution = TextField(
        allow_blank=True,
        required=False,
        allow_null=True,
        default=None,
        help_text="Becomes the closing summary; left out, the session's own stays. Needed when resolved.",
    )
    status = PsaIdField(
        required=False,
        allow_null=True,
        default=None,
        max_length=100,
        help_text="Id or exact name; left out, the board's status rule for the outcome decides.",
    )
    notify = serializers.BooleanField(
        required=False,
        allow_null=True,
        default=None,
        help_text="For resolution note and status. Left out: nobody is mailed, unless a status rule says so.",
    )
    dry_run = serializers.BooleanField(default=False, help_text="Answers what would be done, stores nothing.")
    time = CompletionTimeSerializer(
        required=False, allow_null=True, default=None, help_text="Left out: nobody's time is entered."
    )
    attach_export = serializers.BooleanField(
        default=False, help_text="Attaches the session's documentation as HTML and JSON, for staff only."
    )
    create_article = serializers.JSONField(required=False, allow_null=True, default=None)

    @classmethod
    def unsupported(cls, body: dict[str, Any]) -> dict[str, list[str]]:
        """Return a sentence for each part that was asked for and is not built yet."""
        return {name: [text] for name, text in cls.UNSUPPORTED.items() if body[name] not in (None, False)}
