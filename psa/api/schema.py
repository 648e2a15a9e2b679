"""Owns what all calls share in the OpenAPI document: problem answers, common parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, TypeVar, cast

from django.db.models import TextChoices
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers

from psa.api.problems import CONTENT_TYPE

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def call(
    name: str,
    *,
    answers: dict[int, Any],
    refusals: Iterable[int] = (),
    body: Any = None,
    parameters: Sequence[Any] = (),
    examples: Sequence[OpenApiExample] = (),
    tag: str,
) -> Callable[[F], F]:
    """Describe one call: its operation id, what it takes, what it answers, and how it refuses.

    Shape: answers is serializer by status; refusals are statuses of problems, 401 and 403 come by themselves.
    """
    responses: dict[Any, Any] = {**answers, **problems(*refusals)}
    return extend_schema(
        operation_id=name,
        request=body,
        responses=responses,
        parameters=[*parameters, *([RETRY_AFTER] if 503 in refusals else [])],
        examples=list(examples),
        tags=[tag],
    )


def shaped(field: Any) -> Callable[[T], T]:
    """Describe what a field or method of a serializer answers."""
    return cast(Callable[[T], T], extend_schema_field(field))


class EnumField(serializers.ChoiceField):
    """One of a fixed set of words, which has a name of its own in the document: `DeliveryState`."""

    def __init__(self, words: type[TextChoices] | type[StrEnum], **options: Any) -> None:
        self.words = words
        super().__init__([entry.value for entry in words if entry.value], **options)


class EnumFieldExtension(OpenApiSerializerFieldExtension):
    """How EnumField appears: spectacular would number the sets called `state` or `kind`."""

    target_class = EnumField

    def get_name(self) -> str:
        """Return the name of the set."""
        name: str = self.target.words.__name__
        return name

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """Return the set."""
        return {"type": "string", "enum": list(self.target.choices)}


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457 problem details. Some carry more members: `grant`, `host`, `setting`, `unit`."""

    type = serializers.CharField(help_text="URI reference that ends in the slug of the problem.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="A sentence for a person.")
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="Sentences by field; there only when fields are wrong.",
    )


_MEANINGS = {
    400: (
        "The body or a header cannot be read.",
        "malformed",
        "The request cannot be read",
        "The body must be an object.",
    ),
    401: (
        "No login, or a wrong one. `WWW-Authenticate` says how to sign in.",
        "not-authenticated",
        "Sign in first",
        "Authentication credentials were not provided.",
    ),
    403: (
        "The role does not allow it.",
        "role",
        "Your role does not allow this",
        "Only an admin may do this.",
    ),
    404: (
        "There is no such object in your account.",
        "not-found",
        "There is no such object",
        "There is no such connection.",
    ),
    409: (
        "The present state forbids it, or the PSA refuses the connection's keys.",
        "connection-broken",
        "The PSA refuses the connection's keys",
        "The PSA refuses the keys of this connection. Enter new ones.",
    ),
    422: (
        "Values are wrong; `errors` says which.",
        "invalid",
        "Some values are wrong",
        "Some values are wrong: name.",
    ),
    503: (
        "The PSA cannot be asked now; `Retry-After` says when to try again.",
        "psa-unreachable",
        "The PSA cannot be reached",
        "The PSA does not answer.",
    ),
}


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """Return the problem answers of a call for `extend_schema(responses=…)`; 401 and 403 are always there."""
    found = {}
    for status in sorted({401, 403, *statuses}):
        description, slug, title, detail = _MEANINGS[status]
        value: dict[str, Any] = {
            "type": f"/problems/{slug}",
            "title": title,
            "status": status,
            "detail": detail,
        }
        if status == 422:
            value["errors"] = {"name": ["This field is required."]}
        found[(status, CONTENT_TYPE)] = OpenApiResponse(
            ProblemSerializer,
            description,
            examples=[
                OpenApiExample(
                    slug, value=value, response_only=True, status_codes=[status], media_type=CONTENT_TYPE
                )
            ],
        )
    return found


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description=(
        "1 to 200 visible ASCII characters. The same key with the same body does the work once and answers "
        "with the stored object as it is now; another path or body is refused (422 `idempotency-mismatch`)."
    ),
    pattern=r"^[\x21-\x7e]{1,200}$",
)
"""Header parameter of every call that goes through `idempotency.once`."""

RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    OpenApiTypes.INT,
    OpenApiParameter.HEADER,
    description="Seconds to wait before the next try.",
    response=[503],
)

PAGE = OpenApiParameter(
    "page",
    {"type": "integer", "minimum": 1, "default": 1},
    OpenApiParameter.QUERY,
    description="Page, from 1.",
)
