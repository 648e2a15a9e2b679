"""Owns the calls about a session's time: what is suggested, and entering one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from psa.api import idempotency
from psa.api.schema import IDEMPOTENCY_KEY, call
from psa.api.scope import request_scope
from psa.api.serializers import UnitSerializer
from psa.types import BillableOption
from resolutionflow.sessions import services, ticket_time
from resolutionflow.sessions.api import SessionView
from resolutionflow.sessions.serializers_posting import (
    PostingPreviewSerializer,
    SessionTimeSerializer,
    TimePostSerializer,
)


class SessionTime(SessionView):
    """Time on the linked ticket."""

    @call(
        "sessions_time_retrieve",
        answers={200: SessionTimeSerializer},
        refusals=(404, 409, 422),
        tag="sessions",
    )
    def get(self, request: Request, session_id: int) -> Response:
        """Read who worked when, what can be chosen, and what you have on the ticket already.

        While the PSA cannot tell, `problem` says why and the rest is there all the same.
        """
        scope = request_scope(request)
        found = ticket_time.session_time(scope.tenant, session_id, actor=scope.actor)
        return Response(SessionTimeSerializer(found).data)

    @call(
        "sessions_time_create",
        body=TimePostSerializer,
        parameters=[IDEMPOTENCY_KEY],
        answers={202: UnitSerializer, 201: UnitSerializer, 200: PostingPreviewSerializer},
        refusals=(400, 404, 409, 422),
        examples=[
            OpenApiExample(
                "half an hour",
                value={
                    "start": "2026-03-02T14:00",
                    "end": "2026-03-02T14:40",
                    "deduct_minutes": 10,
                    "notes": "Printer repaired remotely.",
                },
                request_only=True,
            )
        ],
        tag="sessions",
    )
    def post(self, request: Request, session_id: int) -> Response:
        """Queue your own time; 200 with a preview for `dry_run`. Accepted while the PSA is down.

        422 with the objection's code where the PSA would refuse it, unless `hold`; 422 `time-overlap` where
        you have time there already, unless you `accept` it.
        """
        body = TimePostSerializer.read(request)
        scope = request_scope(request)
        wish = time_wish(body)
        if body["dry_run"]:
            parts = services.time_preview(scope.tenant, session_id, wish, actor=scope.actor)
            return Response(PostingPreviewSerializer({"parts": parts, "left_out": []}).data)
        unit, _ = idempotency.once(
            request,
            scope,
            prepare=lambda: services.time_check(scope.tenant, session_id, wish, actor=scope.actor),
            commit=lambda _: services.time_post(scope.tenant, session_id, wish, actor=scope.actor),
        )
        return idempotency.response(unit)


def time_wish(body: Mapping[str, Any]) -> services.TimeWish:
    """Return what a `time` object asks for."""
    option = body["billable_option"]
    return services.TimeWish(
        start=body["start"],
        end=body["end"],
        deduct_minutes=body["deduct_minutes"],
        notes=body["notes"],
        billable=BillableOption(option) if option else None,
        work_type=body["work_type"] or "",
        work_role=body["work_role"] or "",
        agreement=body["agreement"] or "",
        hold=body["hold"],
        skip=body.get("skip", False),
        only_mine=body.get("only_mine", False),
        accept=frozenset(body["accept"]),
    )
