"""Owns what wraps every request: its id, the content security policy, the time zone of the person."""

from __future__ import annotations

import re
import uuid
import zoneinfo
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

GetResponse = Callable[[HttpRequest], HttpResponse]

_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
"""What a caller may choose as an id: short, and nothing that could break a log line."""


class RequestIdMiddleware:
    """Give each request an id, bind it to the log lines and answer it as `X-Request-Id`."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _GOOD_ID.fullmatch(given) else uuid.uuid4().hex
        request.META["REQUEST_ID"] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
        response["X-Request-Id"] = request_id
        return response


class ContentSecurityPolicyMiddleware:
    """Send `settings.CONTENT_SECURITY_POLICY` with every answer that has no policy of its own."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        return response


class TimeZoneMiddleware:
    """Show times in the zone of the signed-in person; everybody else gets UTC."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = getattr(request.user, "time_zone", "") if request.user.is_authenticated else ""
        if not name:
            return self.get_response(request)
        try:
            zone = zoneinfo.ZoneInfo(name)
        except (
            zoneinfo.ZoneInfoNotFoundError,
            ValueError,
        ):  # the zone was valid when stored, tzdata moved on
            return self.get_response(request)
        with timezone.override(zone):
            return self.get_response(request)
