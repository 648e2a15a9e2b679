"""Owns the calls about files: those of the linked ticket, and attaching the session's own."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from psa.api import idempotency
from psa.api.schema import IDEMPOTENCY_KEY, call
from psa.api.scope import request_scope
from psa.api.serializers import UnitSerializer
from resolutionflow.sessions import services, ticket_time
from resolutionflow.sessions.api import SessionView
from resolutionflow.sessions.downloads import download_response
from resolutionflow.sessions.serializers_posting import (
    DocumentListSerializer,
    ExportSerializer,
    PostingPreviewSerializer,
)


class SessionExport(SessionView):
    """The session's documentation as files."""

    @call(
        "sessions_export_create",
        body=ExportSerializer,
        parameters=[IDEMPOTENCY_KEY],
        answers={202: UnitSerializer, 201: UnitSerializer, 200: PostingPreviewSerializer},
        refusals=(400, 404, 409, 422),
        tag="sessions",
    )
    def post(self, request: Request, session_id: int) -> Response:
        """Attach the session as HTML and JSON, for staff only; 200 with a preview for `dry_run`.

        The same content is attached once: again answers with the unit that took it there.
        """
        body = ExportSerializer.read(request)
        scope = request_scope(request)
        if body["dry_run"]:
            parts, left_out = services.export_preview(scope.tenant, session_id, actor=scope.actor)
            return Response(PostingPreviewSerializer({"parts": parts, "left_out": left_out}).data)
        unit, _ = idempotency.once(
            request,
            scope,
            prepare=lambda: None,
            asks=False,
            commit=lambda _: services.export_post(scope.tenant, session_id, actor=scope.actor),
        )
        return idempotency.response(unit)


class SessionDocuments(SessionView):
    """The files of the linked ticket."""

    @call(
        "sessions_documents_list",
        answers={200: DocumentListSerializer},
        refusals=(404, 409, 422, 503),
        tag="sessions",
    )
    def get(self, request: Request, session_id: int) -> Response:
        """List the files of the linked ticket, the newest first."""
        found = ticket_time.session_documents(request_scope(request).tenant, session_id)
        page = {"count": len(found), "next": None, "previous": None, "results": found}
        return Response(DocumentListSerializer(page).data)


class SessionDocument(SessionView):
    """One file of the linked ticket."""

    @call(
        "sessions_documents_download",
        answers={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, "The file.")},  # type: ignore[dict-item]
        refusals=(404, 409, 422, 503),
        tag="sessions",
    )
    def get(self, request: Request, session_id: int, document_id: str) -> HttpResponseBase:
        """Download a file of the linked ticket, as an attachment."""
        found = ticket_time.session_document_open(request_scope(request).tenant, session_id, document_id)
        response: StreamingHttpResponse = download_response(found)
        return response
