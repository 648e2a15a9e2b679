"""Owns the one decision whether a read is repeated, and after how long. Writes are never repeated here."""

from __future__ import annotations

from psa.exceptions import (
    CertificateError,
    ConnectFailedError,
    HostNotAllowedError,
    ProviderError,
    UnavailableError,
)

REPEATS_MAX = 2
"""A read is sent three times at most: what fails three times within seconds is down, and people wait."""

FIRST_WAIT_S = 0.2
"""Seconds. Waits grow threefold (0.2, 0.6), each shortened by up to half of itself at random."""

WAIT_MAX_S = 5.0
"""Seconds. A server that asks for more than this is not waited for; the caller is told instead."""

NEEDED_S = 1.0
"""Seconds that must be left after a wait, else repeating could only end in a timeout."""

REPEATED_STATUSES = frozenset({502, 503, 504})
"""Answers of a gateway whose server is away for a moment. A plain 500 repeats itself, so it is not here."""


def read_repeat_after_s(
    *,
    repeats: int,
    status: int | None,
    failure: ProviderError | None,
    retry_after_s: float | None,
    remaining_s: float,
    jitter: float,
) -> float | None:
    """Return the seconds to wait before a read is sent again, or None to leave it at that.

    Shape: repeats counts what was already repeated; exactly one of status and failure is set; jitter is
        0 to 1, drawn by the caller.
    """
    if repeats >= REPEATS_MAX:
        return None
    if failure is not None:
        if isinstance(failure, (HostNotAllowedError, CertificateError)):
            return None
        if not isinstance(failure, (ConnectFailedError, UnavailableError)):
            return None
    elif status == 429:
        if retry_after_s is None:
            return None
    elif status not in REPEATED_STATUSES:
        return None
    wait_s: float = FIRST_WAIT_S * 3**repeats * (1 - jitter / 2)
    if retry_after_s is not None:
        wait_s = max(wait_s, retry_after_s)
    if wait_s > WAIT_MAX_S or wait_s + NEEDED_S > remaining_s:
        return None
    return wait_s


def retry_after_seconds(value: str) -> float | None:
    """Return the seconds of a `Retry-After` header, None when it holds none.

    Shape: whole or fractional seconds. An HTTP date is not read: our clock and theirs may differ.
    """
    try:
        seconds = float(value.strip())
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e9 else None
