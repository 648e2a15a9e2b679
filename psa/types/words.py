"""Owns what counts as a word of a ticket, an article or a flow, and which words say nothing."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_][\w.+#-]*[^\W_]|[^\W_]")

WORD_MAX_CHARS = 60
"""What is longer is a path, a key or nonsense; no two texts share it by chance."""

SMALL_WORDS = frozenset(
    """
    a after again all an and any are as at be been but by can cannot could did do does down each
    every for from get gets had has have he hello help her hi him his how i if in into is it its
    just keep keeps me my need needs no not of off on or our out over please she since so some still
    thank thanks that the their them then there they this to too up us very was we were what when
    where which while who will with would you your
    """.split()  # noqa: SIM905 - a list of sixty literals is not easier to read
)
"""Words that are in every text, so that they tell nothing about one."""


def significant_words(text: str) -> list[str]:
    """Return the words of a text that say what it is about, folded, in their order, without doubles."""
    found = (word.casefold() for word in _WORD.findall(text))
    return list(
        dict.fromkeys(word for word in found if 1 < len(word) <= WORD_MAX_CHARS and word not in SMALL_WORDS)
    )
