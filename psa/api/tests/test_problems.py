"""Tests of how errors are answered."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.signals import got_request_exception
from django.http import Http404
from django.test import Client, RequestFactory
from rest_framework import exceptions as drf
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView

from psa import exceptions as psa_errors
from psa.api.problems import CONTENT_TYPE, TABLE, Problem, exception_handler, unknown_call
from psa.api.scope import request_scope
from resolutionflow.accounts.models import User


def answer_of(exc: Exception) -> tuple[Response, dict[str, Any]]:
    response = exception_handler(exc, {})
    return response, json.loads(json.dumps(response.data))


def _errors() -> list[type[psa_errors.PsaError]]:
    found = [entry for _, entry in inspect.getmembers(psa_errors, inspect.isclass)]
    return [entry for entry in found if issubclass(entry, psa_errors.PsaError)]


@pytest.mark.parametrize("kind", _errors(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_a_row(kind: type[psa_errors.PsaError]) -> None:
    assert kind in TABLE or kind is psa_errors.PsaError


@pytest.mark.parametrize(
    ("exc", "status", "slug"),
    [
        (drf.ParseError(), 400, "malformed"),
        (drf.NotAuthenticated(), 401, "not-authenticated"),
        (drf.AuthenticationFailed(), 401, "authentication-failed"),
        (drf.PermissionDenied(), 403, "forbidden"),
        (drf.PermissionDenied("Only an admin.", "role"), 403, "role"),
        (PermissionDenied(), 403, "forbidden"),
        (drf.NotFound(), 404, "not-found"),
        (Http404(), 404, "not-found"),
        (drf.MethodNotAllowed("PUT"), 405, "method-not-allowed"),
        (drf.NotAcceptable(), 406, "not-acceptable"),
        (RequestDataTooBig("x"), 413, "too-large"),
        (drf.UnsupportedMediaType("text/csv"), 415, "unsupported-media-type"),
        (drf.ValidationError({"name": ["x"]}), 422, "invalid"),
        (drf.Throttled(wait=3.2), 429, "throttled"),
        (psa_errors.InvalidInputError("Too long.", code="text-too-long"), 422, "text-too-long"),
        (psa_errors.InvalidInputError("Wrong."), 422, "invalid"),
        (psa_errors.ConflictError("Done.", code="already-posted"), 409, "already-posted"),
        (psa_errors.RoleError("Not yours."), 403, "role"),
        (psa_errors.MissingError("None."), 404, "not-found"),
        (psa_errors.UnsupportedOperationError("Dummy", "sla"), 422, "unsupported"),
        (psa_errors.CredentialsUnreadableError("x"), 409, "credentials-unreadable"),
        (psa_errors.ConnectFailedError("Down."), 503, "psa-unreachable"),
        (psa_errors.UnavailableError("Down."), 503, "psa-unavailable"),
        (psa_errors.MovedError("Moved."), 503, "psa-moved"),
        (psa_errors.BusyError("Busy."), 503, "psa-busy"),
        (psa_errors.OutcomeUnknownError("?"), 503, "psa-outcome-unknown"),
        (psa_errors.RateLimitedError("Slow."), 503, "psa-rate-limited"),
        (psa_errors.CertificateError("TLS."), 503, "certificate"),
        (psa_errors.AuthenticationFailedError("Keys."), 409, "connection-broken"),
        (psa_errors.ClientIdRefusedError("Id."), 409, "client-id-refused"),
        (psa_errors.NotFoundError("None."), 404, "psa-not-found"),
        (psa_errors.RejectedError("No."), 422, "psa-rejected"),
        (Problem(409, "completed-already", "Done.", unit=7), 409, "completed-already"),
        (ZeroDivisionError("secret"), 500, "server-error"),
    ],
)
def test_error_becomes_a_problem(exc: Exception, status: int, slug: str) -> None:
    response, body = answer_of(exc)
    assert (response.status_code, body["status"]) == (status, status)
    assert body["type"] == f"/problems/{slug}"
    assert body["title"]
    assert body["detail"]
    assert response.content_type == CONTENT_TYPE
    assert "Retry-After" in response.headers or status not in {503, 429}


def test_wait_of_the_psa_is_passed_on_rounded_up() -> None:
    response, _ = answer_of(psa_errors.RateLimitedError("Slow.", retry_after_s=6.2))
    assert response.headers["Retry-After"] == "7"


def test_missing_permission_names_its_grant() -> None:
    exc = psa_errors.PermissionDeniedError("Role.", feature="notes", grant="Service Desk > Notes: add, all")
    body = answer_of(exc)[1]
    assert (body["type"], body["grant"]) == ("/problems/psa-permission", "Service Desk > Notes: add, all")


def test_unknown_status_lists_the_valid_names() -> None:
    body = answer_of(psa_errors.InvalidStatusError("No.", valid_names=("New", "Closed")))[1]
    assert (body["status"], body["errors"]) == (422, {"status": ["New", "Closed"]})


def test_untrusted_host_names_the_setting() -> None:
    body = answer_of(psa_errors.HostNotAllowedError("10.0.0.5 is private.", host="10.0.0.5:80"))[1]
    assert body["status"] == 422
    assert body["type"] == "/problems/host-not-allowed"
    assert body["errors"] == {"site": ["10.0.0.5 is private."]}
    assert (body["host"], body["setting"]) == ("10.0.0.5:80", "PSA_TRUSTED_HOSTS")


def test_words_and_pages_of_the_vendor_stay_out() -> None:
    exc = psa_errors.RejectedError(
        "The PSA refuses this. private key: abc123def456", vendor_text="<html>boom</html>", request_id="r-1"
    )
    text = json.dumps(answer_of(exc)[1])
    assert "<html>" not in text
    assert "abc123def456" not in text


def test_unforeseen_error_says_nothing_of_itself() -> None:
    text = json.dumps(answer_of(RuntimeError("password=hunter2"))[1])
    assert "hunter2" not in text
    assert "RuntimeError" not in text


def test_problem_carries_more_members() -> None:
    response, body = answer_of(
        Problem(409, "completed-already", "Done.", {"a": ["b"]}, {"X-Unit": "7"}, unit=7)
    )
    assert (body["unit"], body["errors"], response.headers["X-Unit"]) == (7, {"a": ["b"]}, "7")


def test_errors_are_left_out_when_there_are_none() -> None:
    assert "errors" not in answer_of(drf.NotFound())[1]


def test_nested_field_errors_are_dotted() -> None:
    detail = {
        "credentials": {"key": ["Wrong."]},
        "steps": [{}, {"title": ["Short."]}],
        "non_field_errors": ["Odd."],
    }
    body = answer_of(serializers.ValidationError(detail))[1]
    assert body["errors"] == {"credentials.key": ["Wrong."], "steps.1.title": ["Short."]}
    assert body["detail"] == "Odd."


def test_unforeseen_error_is_still_reported_to_django() -> None:
    class Broken(APIView):
        authentication_classes: list[Any] = []
        permission_classes = [AllowAny]

        def get(self, request: Request) -> Response:
            raise ZeroDivisionError

    seen: list[Any] = []

    def note(**kwargs: Any) -> None:
        seen.append(kwargs["request"])

    got_request_exception.connect(note)
    try:
        response = Broken.as_view()(APIRequestFactory().get("/x/"))
    finally:
        got_request_exception.disconnect(note)
    assert response.status_code == 500
    assert [request.path for request in seen] == ["/x/"]


def test_anonymous_is_told_how_to_sign_in(db: None) -> None:
    answer = APIClient().get("/api/v1/connections/")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Token"
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    assert answer.json()["type"].endswith("/not-authenticated")


def test_user_of_no_account_has_the_wrong_role(db: None) -> None:
    client = APIClient()
    client.force_authenticate(User.objects.create_user("lone"))
    answer = client.get("/api/v1/connections/")
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/role")


def test_session_without_csrf_token_is_forbidden(owner: User) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(owner)
    answer = client.post("/api/v1/connections/", {})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")


@pytest.mark.parametrize(
    ("content_type", "body", "status", "slug"),
    [
        ("application/json", b"{", 400, "malformed"),
        ("application/json", b"[1]", 400, "malformed"),
        ("application/json", b"[" * 100_000, 400, "malformed"),
        ("application/json", b"\xff", 400, "malformed"),
        ("text/csv", b"a,b", 415, "unsupported-media-type"),
    ],
)
def test_unreadable_body(
    owner_api: APIClient, content_type: str, body: bytes, status: int, slug: str
) -> None:
    answer = owner_api.post("/api/v1/connections/", data=body, content_type=content_type)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")


def test_wrong_method(owner_api: APIClient) -> None:
    answer = owner_api.put("/api/v1/connections/", {})
    assert (answer.status_code, answer.json()["type"]) == (405, "/problems/method-not-allowed")
    assert answer.headers["Allow"]


def test_wanting_something_else_than_json(owner_api: APIClient) -> None:
    answer = owner_api.get("/api/v1/connections/", headers={"accept": "text/html"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (406, CONTENT_TYPE)


def test_unknown_address_is_a_problem() -> None:
    answer = unknown_call(RequestFactory().post("/api/v1/nothing/"))
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, CONTENT_TYPE)
    assert json.loads(answer.content)["type"] == "/problems/not-found"


def test_missing_slash_is_pointed_out() -> None:
    answer = unknown_call(RequestFactory().get("/api/v1/connections"))
    assert "/api/v1/connections/" in json.loads(answer.content)["detail"]


def test_scope_needs_a_login() -> None:
    request = Request(APIRequestFactory().get("/"))
    request.user = AnonymousUser()
    with pytest.raises(drf.NotAuthenticated):
        request_scope(request)


def test_plain_client_is_answered_like_any_other(db: None) -> None:
    assert Client().get("/api/v1/deliveries/").headers["Content-Type"] == CONTENT_TYPE
