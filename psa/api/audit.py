"""Owns the call that shows the audit, as JSON and as CSV. Nothing here changes it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample
from rest_framework import generics, serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from psa import selectors
from psa.api.permissions import CanLead
from psa.api.schema import call, shaped
from psa.api.scope import request_scope
from psa.api.serializers import ConnectionNameSerializer
from psa.models import AuditEntry

CSV_ROWS_AT_ONCE = 500
"""Entries in memory at once, however many are sent."""
CSV_COLUMNS = (
    "id",
    "at",
    "who",
    "shown_as",
    "ticket",
    "connection",
    "company",
    "kind",
    "verb",
    "customer_visible",
    "mailed",
    "before",
    "after",
    "facts",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet takes a cell that begins like this for a formula; the last four are the wide = + - @."""


class CsvRenderer(JSONRenderer):
    """What `Accept: text/csv` asks for. The view streams the rows itself; an error stays a JSON problem."""

    media_type = "text/csv"
    format = "csv"


class ActorSerializer(serializers.Serializer[Any]):
    """Who did it. The id is null for the system, and for a user that was deleted since."""

    id = serializers.IntegerField(source="actor_id", allow_null=True)
    name = serializers.CharField(source="actor_name")


@shaped({"nullable": True, "example": "Restarted the spooler."})
class FactField(serializers.Field[Any, Any, Any, Any]):
    """One of the stored facts: a text, or an object of several values."""

    def __init__(self, name: str, **options: Any) -> None:
        self.name = name
        super().__init__(source="*", read_only=True, **options)

    def to_representation(self, value: AuditEntry) -> Any:
        """Return the fact, null without one."""
        return value.facts.get(self.name)


class AuditEntrySerializer(serializers.Serializer[Any]):
    """One write to a PSA, or one change of a connection."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField(source="created_at")
    who = ActorSerializer(source="*")
    shown_as = serializers.CharField(allow_blank=True, help_text="Author the PSA shows.")
    ticket = serializers.SerializerMethodField()
    connection = ConnectionNameSerializer(allow_null=True)
    company = serializers.CharField(
        allow_blank=True, help_text="Company of the ticket, as it was last read there."
    )
    kind = serializers.CharField(allow_blank=True)
    verb = serializers.CharField()
    customer_visible = serializers.BooleanField(
        allow_null=True,
        help_text="Whether the customer can read it afterwards; null where that is no question.",
    )
    mailed = serializers.BooleanField(
        allow_null=True, help_text="Whether this write asked the PSA to mail; null where that is no question."
    )
    before = FactField("before")
    after = FactField("after")
    facts = serializers.SerializerMethodField(help_text="Everything else that was written down.")

    def get_ticket(self, entry: AuditEntry) -> str | None:
        """Return the number of the ticket, null for what is about none."""
        return entry.ticket_id or None

    @shaped(serializers.DictField())
    def get_facts(self, entry: AuditEntry) -> dict[str, Any]:
        """Return the facts without before and after."""
        return {name: value for name, value in entry.facts.items() if name not in ("before", "after")}


@shaped({"type": "string", "example": "2026-03-02"})
class MomentField(serializers.Field[Any, Any, Any, Any]):
    """A date or a date with time, ISO 8601, UTC where it names no other zone."""

    default_error_messages = {"invalid": "Write a date such as 2026-03-02, or 2026-03-02T14:00:00Z."}

    def __init__(self, *, end: bool = False, **options: Any) -> None:
        self.end = end
        """True when a date stands for its end."""
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> datetime:
        """Return an aware moment."""
        try:
            text = str(data).strip()
            if len(text) == len("2026-03-02"):
                moment = datetime.combine(date.fromisoformat(text), time(), UTC)
                return moment + timedelta(days=1) if self.end else moment
            found = datetime.fromisoformat(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("invalid")

    def to_representation(self, value: Any) -> Any:
        """Return the moment."""
        return value


class AuditQuerySerializer(serializers.Serializer[Any]):
    """Filters of the audit."""

    who = serializers.CharField(
        required=False, allow_blank=True, max_length=200, help_text="Id of a user, or a part of a name."
    )
    ticket = serializers.CharField(required=False, allow_blank=True, max_length=40)
    connection = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    company = serializers.CharField(
        required=False, allow_blank=True, max_length=255, help_text="A part of a company's name."
    )
    verb = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=60,
        help_text="`note.hidden`, or `note.` for all of them.",
    )

    def get_fields(self) -> dict[str, Any]:
        """Return the fields; `from` is no name that Python takes."""
        fields = super().get_fields()
        fields["from"] = MomentField(required=False, help_text="A date, or a date with time; included.")
        fields["to"] = MomentField(
            required=False, end=True, help_text="A date, included; or a date with time, excluded."
        )
        return fields


_LISTED = OpenApiExample(
    "a hidden note",
    value={
        "id": 917,
        "at": "2026-03-02T09:20:31Z",
        "who": {"id": 3, "name": "Eva Engineer"},
        "shown_as": "Eva Engineer",
        "ticket": "4711",
        "connection": {"id": 3, "name": "Our ConnectWise"},
        "company": "Contoso",
        "kind": "resolution",
        "verb": "note.hidden",
        "customer_visible": False,
        "mailed": False,
        "before": "Restarted the spooler.\n\nRef RF-7K2M9QXA",
        "after": "Restarted the spooler.\n\nRef RF-7K2M9QXA",
        "facts": {"delivery": 40, "unit": 31, "external_id": "410224", "mailed_before": True},
    },
    response_only=True,
    status_codes=[200],
    media_type="application/json",
)
_ANSWERS: dict[Any, Any] = {
    (200, "application/json"): AuditEntrySerializer(many=True),
    (200, "text/csv"): OpenApiTypes.STR,
}


class AuditList(generics.GenericAPIView[AuditEntry]):
    """The audit, newest first."""

    permission_classes = [IsAuthenticated, CanLead]
    renderer_classes = [JSONRenderer, CsvRenderer]
    serializer_class = AuditEntrySerializer
    queryset = AuditEntry.objects.none()
    filter_backends: list[Any] = []

    def get_queryset(self) -> QuerySet[AuditEntry]:
        """Return the entries of the tenant that the filters let through."""
        query = AuditQuerySerializer(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        wanted = query.validated_data
        return selectors.audit_entries(
            request_scope(self.request).tenant,
            who=wanted.get("who", "").strip(),
            ticket_id=wanted.get("ticket", "").strip().lstrip("#"),
            connection_id=wanted.get("connection"),
            company=wanted.get("company", "").strip(),
            verb=wanted.get("verb", "").strip(),
            since=wanted.get("from"),
            until=wanted.get("to"),
        )

    @call(
        "audit_list",
        parameters=[AuditQuerySerializer],
        answers=_ANSWERS,
        refusals=(422,),
        examples=[_LISTED],
        tag="audit",
    )
    def get(self, request: Request) -> HttpResponseBase:
        """List what was done through the connections, and by whom. `Accept: text/csv` sends all of it."""
        found = self.get_queryset()
        if getattr(request.accepted_renderer, "format", "") != CsvRenderer.format:
            page = self.paginate_queryset(found)
            return self.get_paginated_response(AuditEntrySerializer(page, many=True).data)
        answer = StreamingHttpResponse(csv_lines(found), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="audit-{datetime.now(UTC):%Y-%m-%d}.csv"'
        return answer


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def csv_lines(found: QuerySet[AuditEntry]) -> Iterator[str]:
    """Yield the audit as CSV, a page of the table at a time; the first line begins with a byte-order mark.

    Without the mark Excel reads anything but ASCII wrongly. Entries added meanwhile are left out.
    """
    writer = csv.writer(_Echo())
    yield "\ufeff" + str(writer.writerow(CSV_COLUMNS))
    below: int | None = None
    while True:
        rows = list((found if below is None else found.filter(pk__lt=below))[:CSV_ROWS_AT_ONCE])
        for row in AuditEntrySerializer(rows, many=True).data:
            row = {**row, "who": row["who"]["name"], "connection": (row["connection"] or {}).get("name")}
            yield str(writer.writerow([csv_cell(row[name]) for name in CSV_COLUMNS]))
        if len(rows) < CSV_ROWS_AT_ONCE:
            return
        below = rows[-1].pk


def csv_cell(value: Any) -> str:
    """Return a value as a cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Blanks before it hide a formula from us, but not from every spreadsheet.
    return f"'{text}" if text.lstrip(" \u00a0\u3000").startswith(FORMULA_STARTS) else text
