"""Nothing secret passes, and ordinary text stays readable."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa.redact import (
    REDACTED,
    TEXT_MAX_CHARS,
    is_secret_name,
    redact_data,
    redact_headers,
    redact_text,
    redact_url,
)

SECRET = "Zx81Qq77Pp55Kk"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Basic {SECRET}==",
        f"authorization=Bearer {SECRET}",
        f"Basic {SECRET}",
        f"Bearer {SECRET}",
        f"clientId: {SECRET}",
        f'"clientId":"{SECRET}"',
        f"client_id={SECRET}&x=1",
        f"Client ID: {SECRET}",
        f"private key: {SECRET}",
        f"privateKey = '{SECRET}'",
        f"private_key={SECRET}",
        f"public-key: {SECRET}",
        f"apiKey={SECRET}",
        f"password: {SECRET}",
        f"pwd={SECRET}",
        f"passphrase: '{SECRET} {SECRET}'",
        f'"refresh_token": "{SECRET}"',
        f"memberHash={SECRET}",
        f"Set-Cookie: session={SECRET}",
        f"the key {SECRET} is invalid",
        f"token is {SECRET}",
        f"https://user:{SECRET}@psa.example/x",
        f"https://{SECRET}@psa.example",
        f'{{"a": {{"secret": "{SECRET}"}}}}',
        f"signing_key: {SECRET}",
    ],
)
def test_secrets_in_free_text_are_blacked_out(text: str) -> None:
    shown = redact_text(text)
    assert SECRET not in shown
    assert REDACTED in shown


@pytest.mark.parametrize(
    "text",
    [
        "Ticket 57919 not found",
        "serviceNote object is invalid",
        "The password reset for Carl was done.",
        "Basic troubleshooting was not successful",
        "Press any key to continue",
        "The token ring card is old",
        "The printer's key part is missing.",
        "https://psa.example/v4_6_release/apis/3.0/service/tickets?page=2",
        "Wait 17 seconds.",
        "",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact_text(text) == text


def test_long_text_is_cut_and_a_secret_across_the_cut_is_not_half_shown() -> None:
    text = "x" * (TEXT_MAX_CHARS - 14) + f" password={SECRET}"
    shown = redact_text(text)
    assert len(shown) <= TEXT_MAX_CHARS
    assert SECRET[:4] not in shown
    assert len(redact_text("word " * 10_000, max_chars=50)) == 50


def test_hostile_text_takes_no_time() -> None:
    started = time.monotonic()
    for text in (
        "a" * 100_000,
        "token" * 20_000,
        '"' * 50_000,
        "key " * 20_000,
        "password=\\" * 9_000,
        "-" * 99_999,
    ):
        redact_text(text, max_chars=10_000)
    assert time.monotonic() - started < 2


@given(st.text(max_size=300))
def test_any_text_is_taken(text: str) -> None:
    assert len(redact_text(text, max_chars=100)) <= 100


def test_headers() -> None:
    shown = redact_headers(
        {"Authorization": "Basic x", "clientId": "y", "Cookie": "z", "Accept": "application/json"}
    )
    assert shown == {
        "Authorization": REDACTED,
        "clientId": REDACTED,
        "Cookie": REDACTED,
        "Accept": "application/json",
    }


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@psa.example:8443/a?b=c#d", "https://psa.example:8443/a?b=c#d"),
        ("https://psa.example/?token=abc&page=2", f"https://psa.example/?token={REDACTED}&page=2"),
        ("https://psa.example/?clientId=abc", f"https://psa.example/?clientId={REDACTED}"),
        ("/path?x=1", "/path?x=1"),
        ("https://[bad", REDACTED),
    ],
)
def test_urls(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_data_keeps_its_shape() -> None:
    data = {
        "name": "Ann",
        "privateKey": SECRET,
        "password": "",
        "token": None,
        "inner": [{"client_id": SECRET, "n": 5}, f"password={SECRET}", True],
        "credentials": {"a": SECRET},
    }
    assert redact_data(data) == {
        "name": "Ann",
        "privateKey": REDACTED,
        "password": "",
        "token": None,
        "inner": [{"client_id": REDACTED, "n": 5}, f"password={REDACTED}", True],
        "credentials": REDACTED,
    }
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    assert REDACTED in repr(redact_data(deep))


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Api-Key", "clientId", "PRIVATE_KEY", "passwd", "x-content-signature"]
)
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["Accept", "company_id", "summary", "board", "key_url"])
def test_names_that_are_not_secret(name: str) -> None:
    assert not is_secret_name(name)
