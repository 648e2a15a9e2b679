"""Owns what an AI never gets to see: passwords, keys, tokens and card numbers in what people wrote.

Rather one word too many is blacked out than one too few. Add a pattern to `_PATTERNS`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable

_LABEL_END = (
    r"""["'`*_]{0,3}\s{0,40}(?:(?:(?:is|was|are|ist|lautet|now|set\s{1,4}to|changed\s{1,4}to)\b\s{0,40}){1,4}"""
    r"""|[:=]>?|->|→|[–—-](?=\s))\s{0,40}["'`*_]{0,3}\s{0,40}"""
)
"""What stands between "password" and the password. Never without a limit: a note may hold 100,000 blanks."""

_VALUE = r"""(?P<value>[^\s"'`<>,;]+(?<![.!?*_]))"""

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "private key",
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<value>.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
        ),
    ),
    ("password", re.compile(r"://[^/\s:@]+:(?P<value>[^/\s@]+)@")),
    (
        "password",
        re.compile(
            r"(?<![A-Za-z])(?:pass\s?words?|pass\s?codes?|pass\s?phrases?|passwd|passwort|kennwort|pwd?|pw|"
            r"contrase(?:ñ|n)a|mot de passe|logins?/pass|creds|credentials)"
            rf"(?:\s{{1,4}}(?:for|of|on|to)\s{{1,4}}[^\s:=]{{1,80}}(?:\s{{1,4}}[^\s:=]{{1,80}})?)?{_LABEL_END}{_VALUE}",
            re.I,
        ),
    ),
    (
        "password",
        re.compile(
            r"(?<![A-Za-z])(?:net\s{1,4}use\s.{0,300}?/user:\S{1,100}|-p(?:assword)?)\s{1,8}(?P<value>\S+)",
            re.I,
        ),
    ),
    (
        "code",
        re.compile(
            rf"(?<![A-Za-z])(?:pin|otp|totp|(?:mfa|2fa|verification|security|backup|recovery|door|alarm|gate|safe)"
            rf"[ -]?codes?){_LABEL_END}{_VALUE}",
            re.I,
        ),
    ),
    (
        "key",
        re.compile(
            r"(?<![A-Za-z])(?:(?:api|private|secret|access|account|shared|license|licence|product|"
            r"recovery|encryption|wifi|wi-fi|wpa2?|psk|pre-?shared|bitlocker)"
            r"[ _-]?(?:secret|recovery)?[ _-]?(?:key|psk)|"
            r"client[ _-]?secret|psk|secret|token|bearer|authorization)"
            rf"(?:{_LABEL_END}|\s{{1,8}})(?:Basic\s{{1,8}}|Bearer\s{{1,8}})?(?P<value>(?=\S*[\d\W_])[^\s\"'`<>,;]{{6,}}(?<![.!?]))",
            re.I,
        ),
    ),
    (
        "token",
        re.compile(r"authorization\W{1,8}(?:Basic|Bearer|Token)\s{1,8}(?P<value>[^\s\"'`<>,;]+)", re.I),
    ),
    ("token", re.compile(r"\b(?P<value>eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)")),
    (
        "token",
        re.compile(
            r"\b(?P<value>(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|sk_live_|rk_live_|AIza|ya29\.|hf_|npm_)"
            r"[\w-]{12,})"
        ),
    ),
    ("key", re.compile(r"\b(?P<value>(?:AKIA|ASIA)[A-Z0-9]{16})\b")),
    ("key", re.compile(r"\b(?P<value>(?:\d{6}-){7}\d{6})\b")),
    ("key", re.compile(r"\b(?P<value>(?:[A-Z0-9]{5}-){4}[A-Z0-9]{5})\b")),
)

_CARD = re.compile(r"(?<![\w-])(?:\d[ -]?){12,18}\d(?![\w-])")
_LONG = re.compile(r"(?<![\w/+=.:@\\-])[A-Za-z0-9+/=_-]{24,}(?![\w/+=\\-])")
_RANDOM_BITS = 4.0
"""Bits a character of a random word carries at least; a word of a language has less than 3.5."""


def redact(text: str) -> tuple[str, Counter[str]]:
    """Return a text with its secrets blacked out, and how many of each kind there were."""
    found: Counter[str] = Counter()

    def black_out(kind: str) -> Callable[[re.Match[str]], str]:
        def replaced(match: re.Match[str]) -> str:
            value = match["value"]
            if value.startswith("[redacted"):
                return match[0]
            found[kind] += 1
            start, end = match.start("value") - match.start(), match.end("value") - match.start()
            return f"{match[0][:start]}[redacted: {kind}]{match[0][end:]}"

        return replaced

    for kind, pattern in _PATTERNS:
        text = pattern.sub(black_out(kind), text)
    text = _CARD.sub(lambda match: _card(match, found), text)
    text = _LONG.sub(lambda match: _random(match, found), text)
    return text, found


def _card(match: re.Match[str], found: Counter[str]) -> str:
    digits = [int(char) for char in match[0] if char.isdigit()]
    if len(set(digits)) == 1 or digits[0] not in (2, 3, 4, 5, 6):
        return match[0]
    doubled = [digit * 2 if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    if sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10:
        return match[0]
    found["card number"] += 1
    return "[redacted: card number]"


def _random(match: re.Match[str], found: Counter[str]) -> str:
    """Black out what looks drawn at random: all three of upper case, lower case and digits, evenly spread."""
    word = match[0]
    mixed = (
        any(c.isupper() for c in word) and any(c.islower() for c in word) and any(c.isdigit() for c in word)
    )
    counts = Counter(word)
    bits = -sum(n / len(word) * math.log2(n / len(word)) for n in counts.values())
    if not mixed or bits < _RANDOM_BITS:
        return word
    found["key"] += 1
    return "[redacted: key]"
