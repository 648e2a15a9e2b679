"""Owns what happens to a text on its way to a note: cleaned, cut into parts, marked."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from dataclasses import dataclass

from psa.exceptions import InvalidInputError

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
MARKER_PREFIX = "Ref RF-"
AUTHOR_PREFIX = "Posted by "
OVERHEAD_CHARS = 280
"""Room kept in each part for its head `(2/3)`, a line naming the engineer (at most 200) and the marker."""


@dataclass(frozen=True, slots=True)
class CleanText:
    """A text fit to be posted, and how many control characters were dropped on the way."""

    text: str
    dropped: int


def text_clean(raw: str) -> CleanText:
    """Return the text with LF line ends, without control characters and without blank space around it.

    Emoji and every other printable character stay as they are; a tab stays a tab. A lone surrogate, which
    no database and no JSON reader takes, counts as a control character.
    Raises: InvalidInputError `empty-text`, when nothing visible is left.
    """
    unix = raw.replace("\r\n", "\n").replace("\r", "\n")
    kept = printable(unix)
    text = "\n".join(line.rstrip() for line in kept.split("\n")).strip("\n")
    if not any(not char.isspace() and unicodedata.category(char) != "Cf" for char in text):
        raise InvalidInputError(
            "The text is empty.", code="empty-text", fields={"text": ["Write something to post."]}
        )
    return CleanText(text, len(unix) - len(kept))


_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""The categories Cc and Cs of Unicode, but for line feed and tab."""


def printable(raw: str) -> str:
    """Return the text without control characters and lone surrogates; line feeds and tabs stay."""
    return _UNPRINTABLE.sub("", raw)


def text_hash(text: str) -> str:
    """Return SHA-256 of a text as 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def marker_new() -> str:
    """Return a fresh marker such as `Ref RF-7K2M9QXA`: 40 random bits, built from no id."""
    return MARKER_PREFIX + "".join(secrets.choice(_BASE32) for _ in range(8))


def text_split(text: str, *, note_max_chars: int, max_parts: int) -> list[str]:
    """Return the text in parts that fit a note with head, author line and marker, cut at line ends.

    Raises: InvalidInputError `text-too-long`, with the figure, when more than max_parts are needed.
    """
    room = note_max_chars - OVERHEAD_CHARS
    parts = _cut(text, room, earliest=room // 2)
    if len(parts) > max_parts:
        # Cuts at line ends waste room; a text that would fit without that is cut closer.
        parts = _cut(text, room, earliest=room)
    if len(parts) > max_parts:
        raise InvalidInputError(
            f"The text has {len(text):,} characters; at most about {room * max_parts:,} fit in "
            f"{max_parts} notes. Shorten it or attach it as a file.",
            code="text-too-long",
            fields={"text": [f"{len(text):,} characters; at most about {room * max_parts:,} fit."]},
        )
    return parts


def _cut(text: str, room: int, *, earliest: int) -> list[str]:
    """Return pieces of at most `room` characters, cut at a line end or blank not before `earliest`."""
    parts: list[str] = []
    rest = text
    while len(rest) > room:
        cut = max(rest.rfind("\n", earliest, room + 1), earliest)
        if cut == earliest:
            cut = max(rest.rfind(" ", earliest, room + 1), earliest)
        if cut == earliest:
            cut = room
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].strip("\n")
    parts.append(rest)
    return parts


def note_text(body: str, *, part: int, parts: int, marker: str, posted_by: str = "") -> str:
    """Return what is written to the PSA: head, author line if the API member posts, body, marker last."""
    head = f"({part}/{parts})\n" if parts > 1 else ""
    author = f"{AUTHOR_PREFIX}{posted_by}\n\n" if posted_by else ""
    tail = f"\n\n{marker}" if marker else ""
    return f"{author}{head}{body}{tail}"
