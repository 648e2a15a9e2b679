"""Owns what an error looks like on the wire: RFC 9457 problem details, for every error of the API.

An answer is `{"type": "/problems/<slug>", "title", "status", "detail"}`, `errors` by field where there are
any, and the facts a caller needs (`grant`, `host`, …). A new kind of error is a row in `TABLE` and a line
in `docs/api.md`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core import exceptions as django_errors
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import Resolver404, resolve
from django.utils.log import log_response
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from psa import exceptions as psa_errors
from psa.redact import redact_text

CONTENT_TYPE = "application/problem+json"

RETRY_AFTER_S = 30
"""Seconds a caller is asked to wait when the PSA did not say: about one round of our own retries."""

TRUSTED_HOSTS_SETTING = "PSA_TRUSTED_HOSTS"
"""What the operator changes to let a private or unencrypted host in: it becomes `PSA["TRUSTED_HOSTS"]`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one class of errors is answered."""

    status: int
    slug: str
    title: str
    wait: bool = False
    """True when the answer carries `Retry-After`."""


TABLE: dict[type[BaseException], Kind] = {
    # the request itself
    drf.ParseError: Kind(400, "malformed", "The request cannot be read"),
    drf.NotAuthenticated: Kind(401, "not-authenticated", "Sign in first"),
    drf.AuthenticationFailed: Kind(401, "authentication-failed", "The login was refused"),
    drf.PermissionDenied: Kind(403, "forbidden", "This is not allowed"),
    drf.NotFound: Kind(404, "not-found", "There is no such object"),
    drf.MethodNotAllowed: Kind(405, "method-not-allowed", "The address does not take this method"),
    drf.NotAcceptable: Kind(406, "not-acceptable", "We answer in JSON only"),
    drf.UnsupportedMediaType: Kind(415, "unsupported-media-type", "The body must be JSON"),
    drf.ValidationError: Kind(422, "invalid", "Some values are wrong"),
    drf.Throttled: Kind(429, "throttled", "Too many requests"),
    Http404: Kind(404, "not-found", "There is no such object"),
    django_errors.PermissionDenied: Kind(403, "forbidden", "This is not allowed"),
    django_errors.RequestDataTooBig: Kind(413, "too-large", "The body is too large"),
    django_errors.SuspiciousOperation: Kind(400, "malformed", "The request cannot be read"),
    # what a service refuses; the slug is the error's own `code`
    psa_errors.InvalidInputError: Kind(422, "invalid", "Some values are wrong"),
    psa_errors.RoleError: Kind(403, "role", "Your role does not allow this"),
    psa_errors.MissingError: Kind(404, "not-found", "There is no such object"),
    psa_errors.ConflictError: Kind(409, "conflict", "The present state forbids this"),
    psa_errors.ServiceError: Kind(422, "invalid", "This cannot be done"),
    psa_errors.WebhookRefusedError: Kind(422, "message-refused", "The message cannot be trusted"),
    psa_errors.UnsupportedOperationError: Kind(422, "unsupported", "The PSA product does not offer this"),
    psa_errors.CredentialsUnreadableError: Kind(
        409, "credentials-unreadable", "The stored credentials cannot be decrypted"
    ),
    # what a PSA answered, or did not
    psa_errors.HostNotAllowedError: Kind(422, "host-not-allowed", "The operator has not trusted this host"),
    psa_errors.CertificateError: Kind(
        503, "certificate", "The PSA's certificate cannot be verified", wait=True
    ),
    psa_errors.ConnectFailedError: Kind(503, "psa-unreachable", "The PSA cannot be reached", wait=True),
    psa_errors.OutcomeUnknownError: Kind(
        503, "psa-outcome-unknown", "The PSA gave no clear answer", wait=True
    ),
    psa_errors.RateLimitedError: Kind(503, "psa-rate-limited", "The PSA asks for patience", wait=True),
    psa_errors.UnavailableError: Kind(503, "psa-unavailable", "The PSA gives no usable answer", wait=True),
    psa_errors.MovedError: Kind(503, "psa-moved", "The PSA is being upgraded or has moved", wait=True),
    psa_errors.BusyError: Kind(503, "psa-busy", "The PSA is busy with this record", wait=True),
    psa_errors.AuthenticationFailedError: Kind(
        409, "connection-broken", "The PSA refuses the connection's keys"
    ),
    psa_errors.ClientIdRefusedError: Kind(
        409, "client-id-refused", "The PSA refuses the integration's client id"
    ),
    psa_errors.PermissionDeniedError: Kind(409, "psa-permission", "The security role in the PSA lacks a row"),
    psa_errors.NotFoundError: Kind(
        404, "psa-not-found", "The PSA does not have this record, or hides it from us"
    ),
    psa_errors.InvalidStatusError: Kind(422, "unknown-status", "The ticket's board has no such status"),
    psa_errors.TimeRefusedError: Kind(422, "time-refused", "The PSA takes no time entry there"),
    psa_errors.StatusUnchangedError: Kind(422, "status-unchanged", "The PSA kept the ticket's old status"),
    psa_errors.RejectedError: Kind(422, "psa-rejected", "The PSA refuses this record"),
    psa_errors.ProviderError: Kind(503, "psa-unavailable", "The PSA gives no usable answer", wait=True),
}
"""Class of an error → how it is answered. A subclass without a row of its own is answered as its parent."""

SERVER_ERROR = Kind(500, "server-error", "Something went wrong on our side")


@dataclass(frozen=True, slots=True)
class _Found:
    """Everything one answer says."""

    kind: Kind
    detail: str
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the JSON of the answer."""
        found: dict[str, Any] = {
            "type": f"/problems/{self.kind.slug}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
        if self.errors:
            found["errors"] = {name: list(sentences) for name, sentences in self.errors.items()}
        return {**self.extra, **found}

    def all_headers(self) -> dict[str, str]:
        """Return the headers of the answer, `Retry-After` where the kind wants one."""
        wait = {"Retry-After": str(RETRY_AFTER_S)} if self.kind.wait else {}
        return {**wait, **self.headers}


class Problem(drf.APIException):
    """An error said by a view itself, with a slug and facts of its own.

    Shape: errors is sentences by field, extra becomes members of the answer (`unit=12`).
    """

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        errors: Mapping[str, Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail, slug)
        self.status_code = status
        self.slug = slug
        self.errors = errors or {}
        self.headers = headers or {}
        self.extra = extra


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """Answer any exception of a view as a problem; DRF calls this by its `EXCEPTION_HANDLER` setting.

    An exception nobody foresaw is logged and reported as Django does it, and answered 500 without its text.
    """
    found = _find(exc)
    set_rollback()
    response = Response(
        found.body(), found.kind.status, headers=found.all_headers(), content_type=CONTENT_TYPE
    )
    if found.kind is SERVER_ERROR:
        request = context.get("request")
        request = getattr(request, "_request", request)
        # DRF would let it through to Django, which answers HTML. Error trackers and test clients listen here.
        got_request_exception.send(sender=None, request=request)
        log_response(
            "%s: %s",
            found.kind.title,
            getattr(request, "path", ""),
            response=response,
            request=request,
            exception=exc,
        )
    return response


@csrf_exempt
def unknown_call(request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
    """Answer 404 as a problem. A host routes what is left below `/api/` here, after everything else."""
    detail = "The API has no such address."
    if not request.path.endswith("/") and _is_call(f"{request.path_info}/"):
        detail = f"Addresses of the API end in a slash: {request.path}/"
    found = _Found(Kind(404, "not-found", "There is no such address"), detail)
    return JsonResponse(found.body(), status=404, content_type=CONTENT_TYPE)


def _is_call(path: str) -> bool:
    try:
        return resolve(path).func is not unknown_call
    except Resolver404:
        return False


def _find(exc: Exception) -> _Found:
    if isinstance(exc, Problem):
        return _Found(
            _kind_of_code(exc.status_code, exc.slug), str(exc.detail), exc.errors, exc.headers, exc.extra
        )
    kind = next((TABLE[base] for base in type(exc).__mro__ if base in TABLE), None)
    if isinstance(exc, drf.APIException):
        return _of_framework(exc, kind)
    if kind is None:
        return _Found(
            SERVER_ERROR, "The error has been logged. Try again later; if it stays, tell your operator."
        )
    if isinstance(exc, psa_errors.ServiceError):
        kind = kind if exc.code == kind.slug else _kind_of_code(kind.status, exc.code)
        return _Found(kind, exc.message, exc.fields)
    if isinstance(exc, psa_errors.ProviderError):
        return _of_provider(exc, kind)
    if isinstance(exc, psa_errors.CredentialsUnreadableError):
        return _Found(
            kind, "None of the encryption keys opens them. Enter the credentials of the connection again."
        )
    if isinstance(exc, psa_errors.PsaError):
        return _Found(kind, str(exc))
    return _Found(kind, f"{kind.title}.")


def _of_framework(exc: drf.APIException, kind: Kind | None) -> _Found:
    code = getattr(exc.detail, "code", None)
    if kind is None:
        kind = _kind_of_code(exc.status_code, exc.default_code.replace("_", "-"))
    elif code == psa_errors.RoleError.code:
        kind = TABLE[psa_errors.RoleError]
    if isinstance(exc, drf.ValidationError):
        errors = dict(_flatten(exc.detail))
        whole = errors.pop("", [])
        return _Found(kind, " ".join(whole) or f"{kind.title}: {', '.join(errors)}.", errors)
    headers: dict[str, str] = {}
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait_s := getattr(exc, "wait", None)) is not None:
        headers["Retry-After"] = str(math.ceil(wait_s))
    return _Found(kind, str(exc.detail), headers=headers)


def _of_provider(exc: psa_errors.ProviderError, kind: Kind) -> _Found:
    errors: Mapping[str, Sequence[str]] = {}
    extra: dict[str, Any] = {}
    if isinstance(exc, psa_errors.InvalidStatusError):
        errors = {"status": list(exc.valid_names)} if exc.valid_names else exc.fields
    elif isinstance(exc, psa_errors.RejectedError):
        errors = exc.fields
    elif isinstance(exc, psa_errors.HostNotAllowedError):
        errors = {"site": [exc.message]}
        extra = {"host": exc.host, "setting": TRUSTED_HOSTS_SETTING}
    elif isinstance(exc, psa_errors.PermissionDeniedError):
        extra = {"feature": exc.feature, "grant": exc.grant}
    headers = {}
    if kind.wait and exc.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(exc.retry_after_s)))
    errors = {name: [redact_text(sentence) for sentence in sentences] for name, sentences in errors.items()}
    # `message` is our own sentence; `vendor_text` (words, or a page, of the PSA) is for the log only.
    return _Found(kind, redact_text(exc.message), errors, headers, extra)


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield sentences by dotted name: `credentials.public_key`, `steps.0.title`; "" is the whole body."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            whole = name == "non_field_errors"
            yield from _flatten(inner, path if whole else f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list):
        sentences = [str(inner) for inner in detail if not isinstance(inner, Mapping | list)]
        if sentences:
            yield path, sentences
        for position, inner in enumerate(detail):
            if isinstance(inner, Mapping | list):
                yield from _flatten(inner, f"{path}.{position}" if path else str(position))
    else:
        yield path, [str(detail)]


def _kind_of_code(status: int, slug: str) -> Kind:
    """Return the kind of a slug that has no row: its title is its own words, or those of the status."""
    for kind in TABLE.values():
        if kind.slug == slug and kind.status == status:
            return kind
    words = slug.replace("-", " ").strip()
    return Kind(status, slug, words.capitalize() if words else HTTPStatus(status).phrase, wait=status == 503)
