"""Owns the calls that post to a session's ticket: note, status, completion. All take an `Idempotency-Key`."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from psa.api import idempotency
from psa.api.problems import Problem
from psa.api.schema import IDEMPOTENCY_KEY, call
from psa.api.scope import request_scope
from psa.api.serializers import DeliverySerializer, UnitSerializer
from psa.types import NoteKind
from resolutionflow.sessions import services
from resolutionflow.sessions.api import SessionView
from resolutionflow.sessions.api_time import time_wish
from resolutionflow.sessions.models import Outcome
from resolutionflow.sessions.serializers import NoteSerializer, StatusChangeSerializer
from resolutionflow.sessions.serializers_posting import CompletionPreviewSerializer, CompletionSerializer


class SessionNotes(SessionView):
    """Notes to the linked ticket."""

    @call(
        "sessions_notes_create",
        body=NoteSerializer,
        parameters=[IDEMPOTENCY_KEY],
        answers={202: DeliverySerializer, 201: DeliverySerializer},
        refusals=(400, 404, 409, 422),
        examples=[
            OpenApiExample("documentation", value={"kind": "analysis"}, request_only=True),
            OpenApiExample(
                "to the customer",
                value={"kind": "discussion", "text": "We are on it.", "notify": True},
                request_only=True,
            ),
        ],
        tag="sessions",
    )
    def post(self, request: Request, session_id: int) -> Response:
        """Queue a note. Accepted while the PSA is down; a replay answers 201 once it is delivered."""
        body = NoteSerializer.read(request)
        scope = request_scope(request)
        delivery, _ = idempotency.once(
            request,
            scope,
            prepare=lambda: NoteKind(body["kind"]),
            asks=False,
            commit=lambda kind: services.note_post(
                scope.tenant,
                session_id,
                actor=scope.actor,
                kind=kind,
                text=body["text"],
                notify=body["notify"],
            ),
        )
        return idempotency.response(delivery)


class SessionStatus(SessionView):
    """The status of the linked ticket."""

    @call(
        "sessions_status_create",
        body=StatusChangeSerializer,
        parameters=[IDEMPOTENCY_KEY],
        answers={202: DeliverySerializer, 201: DeliverySerializer},
        refusals=(400, 404, 409, 422, 503),
        examples=[OpenApiExample("by name", value={"status": "Completed"}, request_only=True)],
        tag="sessions",
    )
    def post(self, request: Request, session_id: int) -> Response:
        """Queue a status change. 422 `unknown-status` names the statuses of the board."""
        body = StatusChangeSerializer.read(request)
        scope = request_scope(request)
        delivery, _ = idempotency.once(
            request,
            scope,
            prepare=lambda: services.status_check(scope.tenant, session_id, body["status"]),
            commit=lambda _: services.status_post(
                scope.tenant, session_id, actor=scope.actor, status=body["status"], notify=body["notify"]
            ),
        )
        return idempotency.response(delivery)


class SessionComplete(SessionView):
    """The end of a session."""

    @call(
        "sessions_complete",
        body=CompletionSerializer,
        parameters=[IDEMPOTENCY_KEY],
        answers={202: UnitSerializer, 201: UnitSerializer, 200: CompletionPreviewSerializer},
        refusals=(400, 404, 409, 422, 503),
        examples=[
            OpenApiExample(
                "resolved",
                value={"outcome": "resolved", "resolution": "The printer works again.", "dry_run": True},
                request_only=True,
            )
        ],
        tag="sessions",
    )
    def post(self, request: Request, session_id: int) -> Response:
        """Complete a session and queue what it posts, as one unit; 200 with a preview for `dry_run`.

        A session completes once: again → 409 `already-completed`, with the first unit as `unit`.
        """
        body = CompletionSerializer.read(request)
        scope = request_scope(request)
        if unsupported := CompletionSerializer.unsupported(body):
            raise Problem(422, "unsupported", "Some parts of a completion are not built yet.", unsupported)
        draft = services.CompletionDraft(
            outcome=Outcome(body["outcome"]),
            resolution=body["resolution"],
            status=body["status"],
            notify=body["notify"],
            time=time_wish(body["time"]) if body["time"] is not None else None,
            attach_export=body["attach_export"],
        )
        try:
            if body["dry_run"]:
                preview = services.completion_preview(scope.tenant, session_id, draft, actor=scope.actor)
                return Response(CompletionPreviewSerializer(preview).data)
            unit, _ = idempotency.once(
                request,
                scope,
                prepare=lambda: services.completion_check(scope.tenant, session_id, draft, actor=scope.actor),
                commit=lambda skipped: services.session_complete(
                    scope.tenant, session_id, draft, actor=scope.actor, skipped=skipped
                ),
            )
        except services.AlreadyCompletedError as exc:
            first = UnitSerializer(exc.unit).data if exc.unit is not None else None
            raise Problem(409, exc.code, exc.message, unit=first) from exc
        return idempotency.response(unit)
