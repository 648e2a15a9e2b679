"""Owns the calls by which an AI gets the context of a session, and the schema of what it gets."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.views import APIView

from psa.api.schema import call
from psa.api.scope import request_scope
from resolutionflow.flowpilot.bundle import BUDGET_CHARS, Bundle
from resolutionflow.flowpilot.forms import as_json, as_markdown, json_schema
from resolutionflow.flowpilot.services import bundle_hand_out
from resolutionflow.sessions.api import SessionView

TO_MAX_CHARS = 80


class BundleJson(JSONRenderer):
    """The JSON form; what is no bundle, a refusal say, is plain JSON."""

    def render(self, data: Any, media_type: str | None = None, context: Any = None) -> bytes:
        """Return the bytes of the answer."""
        return super().render(as_json(data) if isinstance(data, Bundle) else data, media_type, context)


class BundleMarkdown(BaseRenderer):
    """The Markdown form, by `Accept: text/markdown` or `?format=markdown`."""

    media_type = "text/markdown"
    format = "markdown"
    charset = "utf-8"

    def render(self, data: Any, media_type: str | None = None, context: Any = None) -> bytes:
        """Return the bytes of the answer."""
        if isinstance(data, Bundle):
            return as_markdown(data).encode()
        return JSONRenderer().render(data)


class SessionContext(SessionView):
    """The context of a session's ticket, for an AI."""

    renderer_classes = [BundleJson, BundleMarkdown]

    @call(
        "sessions_context",
        answers={
            (200, "application/json"): OpenApiTypes.OBJECT,  # type: ignore[dict-item]
            (200, "text/markdown"): OpenApiTypes.STR,  # type: ignore[dict-item]
        },
        refusals=(404, 409, 422, 503),
        parameters=[
            OpenApiParameter("max_chars", OpenApiTypes.INT, description="Budget in characters."),
            OpenApiParameter("to", OpenApiTypes.STR, description="Who receives it, for the audit."),
        ],
        tag="sessions",
    )
    def get(self, request: Request, session_id: int) -> Response:
        """Hand out the context of the linked ticket: redacted, within a budget, texts marked as data.

        Each call is written down in the audit.
        """
        scope = request_scope(request)
        asked = request.query_params.get("max_chars", str(BUDGET_CHARS)).strip()
        if not (asked.isascii() and asked.isdigit() and len(asked) < 9):
            raise ValidationError({"max_chars": ["Enter a number of characters."]})
        to = request.query_params.get("to", "FlowPilot").strip()
        if not to or len(to) > TO_MAX_CHARS or not to.isprintable():
            raise ValidationError({"to": [f"Enter 1 to {TO_MAX_CHARS} characters."]})
        found = bundle_hand_out(scope.tenant, session_id, actor=scope.actor, to=to, max_chars=int(asked))
        return Response(found)


class BundleSchema(APIView):
    """The JSON Schema of the bundle."""

    permission_classes = [IsAuthenticated]

    @call("flowpilot_schema", answers={200: OpenApiTypes.OBJECT}, tag="sessions")
    def get(self, request: Request) -> Response:
        """Return the JSON Schema of the context an AI gets."""
        return Response(json_schema())
