"""Owns `/metrics`: what Prometheus is told, for whoever knows the token of the settings."""

from __future__ import annotations

from django.conf import settings
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from psa.metrics import PrometheusMissingError, exposition


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer every figure as text: 401 without the token, 503 with a sentence where there are none.

    Plain HTTP is redirected like any other page: a token must not travel in the open.
    Raises: Http404, where no token is set.
    """
    wanted = settings.METRICS_TOKEN
    if not wanted:
        raise Http404("METRICS_TOKEN is not set.")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    known = constant_time_compare(token.strip(), wanted)
    if scheme.lower() != "bearer" or not known:
        return HttpResponse(
            "Send METRICS_TOKEN as Authorization: Bearer.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
        )
    try:
        body, content_type = exposition(request.headers.get("Accept", ""))
    except PrometheusMissingError as exc:
        return _unavailable(str(exc))
    except Error:
        return _unavailable("The database does not answer.")
    return HttpResponse(body, content_type=content_type)


def _unavailable(sentence: str) -> HttpResponse:
    return HttpResponse(f"{sentence}\n", status=503, content_type="text/plain; charset=utf-8")
