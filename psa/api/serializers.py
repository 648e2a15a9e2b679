"""Owns the JSON shapes of the API: what is answered, and what a body may hold."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ParseError
from rest_framework.request import Request

from psa import selectors
from psa.api.correction_field import CorrectionsField
from psa.api.schema import EnumField, shaped
from psa.models import Connection, Delivery, WorkUnit
from psa.models.connection import ConnectionState
from psa.models.delivery import DUE_STATES, DeliveryKind, DeliveryState, HeldBy, UnitState
from psa.types import Capability, Feature, FeatureStatus, RecordType

TEXT_MAX_CHARS = 1_000_000
"""Longest text that is read at all; what fits on a ticket is decided by the service, with the figure."""


class StrictSerializer(serializers.Serializer[Any]):
    """A body: an object without members that nobody reads, so that a misspelt one is noticed."""

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """Return the checked body of a request.

        Raises: ParseError (400), for a body that is no object; ValidationError (422), by field.
        """
        try:
            data = request.data
        except RecursionError as exc:
            raise ParseError("The body is nested too deeply.") from exc
        if not isinstance(data, Mapping):
            raise ParseError("The body must be a JSON object.")
        body = cls(data=data)
        body.is_valid(raise_exception=True)
        found: dict[str, Any] = body.validated_data
        return found

    def to_internal_value(self, data: Any) -> Any:
        """Return the values; unknown members are reported together with everything else that is wrong."""
        unknown = {
            name: [ErrorDetail("There is no such field.", "unknown")]
            for name in data
            if name not in self.fields
        }
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as exc:
            if isinstance(exc.detail, dict):
                raise serializers.ValidationError({**exc.detail, **unknown}) from exc
            raise
        if unknown:
            raise serializers.ValidationError(unknown)
        return values


class TextField(serializers.CharField):
    """Text as it was typed. Control characters are no error: the service drops them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, max_length=TEXT_MAX_CHARS, **options)

    def to_internal_value(self, data: Any) -> str:
        """Return the text without NUL, which no database column takes."""
        return super().to_internal_value(data).replace("\0", "")


# shared pieces ----------------------------------------------------------------------------------


class ReasonSerializer(serializers.Serializer[Any]):
    """Why something does not go on: a stable code, a sentence, and what to do."""

    code = serializers.CharField()
    text = serializers.CharField()
    remedy = serializers.CharField()


@shaped(ReasonSerializer)
class ReasonField(serializers.JSONField):
    """A stored problem, null when all is well."""


class NamedSerializer(serializers.Serializer[Any]):
    """A record of the PSA: its id is a string."""

    id = serializers.CharField()
    name = serializers.CharField()


# providers and connections ----------------------------------------------------------------------


class CredentialFieldSerializer(serializers.Serializer[Any]):
    """One field of a provider's credential form."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    secret = serializers.BooleanField()
    required = serializers.BooleanField()  # type: ignore[assignment]
    help = serializers.CharField()


class ProviderSerializer(serializers.Serializer[Any]):
    """A PSA product we can talk to."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    capabilities = serializers.SerializerMethodField()
    credential_fields = CredentialFieldSerializer(many=True, source="credential_schema")
    site_example = serializers.CharField()

    @shaped(serializers.ListField(child=EnumField(Capability)))
    def get_capabilities(self, provider: Any) -> list[str]:
        """Return the capabilities in alphabetical order."""
        return sorted(entry.value for entry in provider.capabilities)


class FeatureResultSerializer(serializers.Serializer[Any]):
    """What the last test found out about one feature; `grant` names the security-role row that is missing."""

    feature = EnumField(Feature)
    status = EnumField(FeatureStatus)
    grant = serializers.CharField(allow_blank=True)


@shaped(FeatureResultSerializer(many=True))
class FeaturesField(serializers.JSONField):
    """The stored result of the last test."""


class ConnectionSerializer(serializers.Serializer[Any]):
    """A connection. Credentials are never part of it."""

    id = serializers.IntegerField()
    provider = serializers.CharField()
    name = serializers.CharField()
    site = serializers.CharField()
    state = EnumField(ConnectionState)
    last_checked_at = serializers.DateTimeField(allow_null=True)
    features = FeaturesField()
    problem = ReasonField(allow_null=True)
    version = serializers.SerializerMethodField(help_text="The PSA's own version, as last seen.")
    hidden_boards = serializers.ListField(
        child=serializers.CharField(),
        help_text="Boards the API member cannot see: their tickets cannot be linked.",
    )

    def get_version(self, connection: Connection) -> str:
        """Return the version the PSA told when it was last found."""
        return str((connection.endpoint or {}).get("version", ""))


class ConnectionTestSerializer(ConnectionSerializer):
    """What a test found."""


class ConnectionCreateSerializer(StrictSerializer):
    """A new connection. It is probed before it is stored, unless `verify` is false."""

    provider = serializers.CharField(max_length=40)
    name = serializers.CharField(max_length=100)
    site = serializers.CharField(
        max_length=255, help_text="Address of the PSA; a pasted one is cut to its host."
    )
    credentials = serializers.DictField(
        child=serializers.CharField(
            allow_blank=True, allow_null=True, trim_whitespace=False, max_length=4000
        ),
        write_only=True,
        help_text="Values by name, as `credential_fields` of the provider lists them. Never answered.",
    )
    verify = serializers.BooleanField(default=True)


class ConnectionChangeSerializer(StrictSerializer):
    """Changes of a connection. What is left out stays; a blank credential is unchanged, null removes it."""

    name = serializers.CharField(max_length=100, required=False)
    site = serializers.CharField(max_length=255, required=False)
    credentials = serializers.DictField(
        child=serializers.CharField(
            allow_blank=True, allow_null=True, trim_whitespace=False, max_length=4000
        ),
        required=False,
        write_only=True,
    )
    verify = serializers.BooleanField(default=True)
    disabled = serializers.BooleanField(
        required=False, help_text="true holds the queue of this connection, false lets it flow again."
    )


# tickets and reference data ---------------------------------------------------------------------


class TicketStatusSerializer(NamedSerializer):
    """The status of a ticket."""

    closed = serializers.BooleanField()


class TicketSerializer(serializers.Serializer[Any]):
    """One ticket of a search."""

    id = serializers.CharField()
    record_type = EnumField(RecordType)
    summary = serializers.CharField()
    board = NamedSerializer(allow_null=True)
    status = TicketStatusSerializer(allow_null=True)
    company = NamedSerializer(allow_null=True)
    owner = serializers.CharField(allow_blank=True)
    url = serializers.CharField(allow_blank=True)
    updated_at = serializers.DateTimeField(allow_null=True)


class BoardSerializer(NamedSerializer):
    """A board of the PSA."""

    record_type = EnumField(RecordType)
    active = serializers.BooleanField()


class StatusSerializer(TicketStatusSerializer):
    """A status of one board."""

    active = serializers.BooleanField()
    time_entry_allowed = serializers.BooleanField()
    mails_customer = serializers.BooleanField(help_text="Choosing it sends the board's mail template.")


# deliveries -------------------------------------------------------------------------------------


class AuthorKind(StrEnum):
    """Whose name the PSA shows."""

    MEMBER = "member"
    """The member the person is mapped to."""
    API_MEMBER = "api_member"
    """Our API member; the person is named in the first line."""


class AuthorSerializer(serializers.Serializer[Any]):
    """Who the PSA shows as the author."""

    name = serializers.CharField()
    kind = EnumField(AuthorKind)


class DeliveryTicketSerializer(serializers.Serializer[Any]):
    """Where a delivery goes."""

    id = serializers.CharField(source="ticket_id")
    record_type = EnumField(RecordType)
    summary = serializers.CharField(allow_blank=True)
    url = serializers.CharField(allow_blank=True)


class DeliverySerializer(serializers.Serializer[Any]):
    """One queued write. Needs `connection`, `link` and `unit` joined, as `selectors.deliveries` does it."""

    id = serializers.IntegerField()
    unit = serializers.IntegerField(source="unit_id")
    kind = EnumField(DeliveryKind)
    part = serializers.IntegerField()
    parts = serializers.IntegerField()
    state = EnumField(DeliveryState)
    held_by = serializers.SerializerMethodField(help_text="What it waits for; null when nothing holds it.")
    attempts = serializers.IntegerField()
    external_id = serializers.SerializerMethodField(
        help_text="Id of the record in the PSA, once it is there."
    )
    problem = ReasonField(allow_null=True)
    next_attempt_at = serializers.SerializerMethodField()
    author = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)
    connection = serializers.IntegerField(source="connection_id")
    ticket = DeliveryTicketSerializer(source="link")
    supersedes = serializers.IntegerField(source="supersedes_id", allow_null=True)
    created_by = serializers.CharField(source="created_by_name")

    @shaped(EnumField(HeldBy, allow_null=True))
    def get_held_by(self, delivery: Delivery) -> str | None:
        """Return what holds it, the connection included."""
        return selectors.delivery_held_by(delivery) or None

    def get_external_id(self, delivery: Delivery) -> str | None:
        """Return the PSA's id, or None before there is one."""
        return delivery.external_id or None

    @shaped(serializers.DateTimeField(allow_null=True))
    def get_next_attempt_at(self, delivery: Delivery) -> str | None:
        """Return when it is tried or looked up next, or None when that is not a matter of time."""
        if delivery.state not in DUE_STATES or selectors.delivery_held_by(delivery):
            return None
        waits = (delivery.due_at, delivery.connection.not_before, delivery.connection.open_until)
        shown = serializers.DateTimeField().to_representation(max(moment for moment in waits if moment))
        return str(shown)

    @shaped(AuthorSerializer)
    def get_author(self, delivery: Delivery) -> dict[str, str]:
        """Return who the ticket shows, or will show."""
        return {
            "name": delivery.author_name or delivery.created_by_name,
            "kind": delivery.author_kind or AuthorKind.API_MEMBER.value,
        }


class DeliveryDetailSerializer(DeliverySerializer):
    """One delivery with its text. Lists leave the text out: fifty of them would be most of a megabyte."""

    text = serializers.SerializerMethodField(help_text="Text of a note; null for other kinds.")
    corrections = CorrectionsField()

    def get_text(self, delivery: Delivery) -> str | None:
        """Return the text as it was queued, without its marker."""
        text = delivery.payload.get("text") if delivery.is_note else None
        return text if isinstance(text, str) else None


class UnitSerializer(serializers.Serializer[Any]):
    """What a person did at once, with its deliveries in the order they reach the ticket."""

    id = serializers.IntegerField()
    state = EnumField(UnitState)
    deliveries = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(source="created_by_name")

    @shaped(DeliverySerializer(many=True))
    def get_deliveries(self, unit: WorkUnit) -> list[Any]:
        """Return the deliveries in lane order, read in one query."""
        rows = unit.deliveries.select_related("connection", "link").order_by("seq")
        return list(DeliverySerializer(rows, many=True).data)


class DeliveryQuerySerializer(serializers.Serializer[Any]):
    """Filters of the delivery list."""

    state = EnumField(DeliveryState, required=False)
    session = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    connection = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False)


class DiscardSerializer(StrictSerializer):
    """Why a delivery is given up, and what becomes of the rest of its unit."""

    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")
    rest = serializers.ChoiceField(["discard", "continue"], default="discard")


class EditSerializer(StrictSerializer):
    """The new text of a note that could not be posted."""

    text = TextField()


# problems ---------------------------------------------------------------------------------------


class ConnectionNameSerializer(serializers.Serializer[Any]):
    """The connection a problem is about."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class ProblemGroupSerializer(ReasonSerializer):
    """One cause with everything it touches. `deliveries` names up to five, the newest first."""

    id = serializers.IntegerField(help_text="The same as long as the cause is the same.")
    scope = EnumField(selectors.ProblemScope)
    connection = ConnectionNameSerializer(allow_null=True)
    count = serializers.IntegerField()
    oldest_at = serializers.DateTimeField()
    deliveries = serializers.ListField(child=serializers.IntegerField())
    can_retry = serializers.BooleanField()
    can_discard = serializers.BooleanField()


class ProblemGroupDiscardSerializer(StrictSerializer):
    """Why all of it is given up."""

    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class ProblemGroupChangeSerializer(serializers.Serializer[Any]):
    """How many deliveries were changed; after a test, how many connections flow again."""

    changed = serializers.IntegerField()
