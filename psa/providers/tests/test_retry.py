"""When a read is repeated: a table."""

from __future__ import annotations

import pytest

from psa.exceptions import (
    CertificateError,
    ConnectFailedError,
    HostNotAllowedError,
    OutcomeUnknownError,
    ProviderError,
    UnavailableError,
)
from psa.providers import retry


def wait(
    status: int | None = None,
    failure: ProviderError | None = None,
    *,
    repeats: int = 0,
    retry_after_s: float | None = None,
    remaining_s: float = 30.0,
    jitter: float = 0.0,
) -> float | None:
    return retry.read_repeat_after_s(
        repeats=repeats,
        status=status,
        failure=failure,
        retry_after_s=retry_after_s,
        remaining_s=remaining_s,
        jitter=jitter,
    )


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_that_is_away_is_asked_again(status: int) -> None:
    assert wait(status) == pytest.approx(0.2)
    assert wait(status, repeats=1) == pytest.approx(0.6)
    assert wait(status, repeats=2) is None


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 403, 404, 408, 409, 500, 501, 520])
def test_other_answers_are_final(status: int) -> None:
    assert wait(status) is None


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        (ConnectFailedError("x"), True),
        (UnavailableError("x"), True),
        (HostNotAllowedError("x", host="h"), False),
        (CertificateError("x"), False),
        (OutcomeUnknownError("x"), False),
    ],
)
def test_failures(failure: ProviderError, again: bool) -> None:
    assert (wait(failure=failure) is not None) is again


def test_a_rate_limit_is_waited_for_only_when_it_is_short() -> None:
    assert wait(429) is None
    assert wait(429, retry_after_s=0) == pytest.approx(0.2)
    assert wait(429, retry_after_s=3) == 3
    assert wait(429, retry_after_s=6) is None
    assert wait(503, retry_after_s=60) is None


def test_waits_are_jittered_and_stay_inside_the_deadline() -> None:
    assert wait(503, jitter=1.0) == pytest.approx(0.1)
    assert wait(503, remaining_s=1.1) is None
    assert wait(503, remaining_s=1.3) is not None
    assert wait(503, remaining_s=-1) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e20", None),
        ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds(header: str, seconds: float | None) -> None:
    assert retry.retry_after_seconds(header) == seconds
