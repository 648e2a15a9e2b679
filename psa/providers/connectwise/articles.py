"""Owns the knowledge base: articles that fit the words of a ticket."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from psa.providers.connectwise.conditions import any_of, contains
from psa.providers.connectwise.parts import ConnectWisePart
from psa.providers.connectwise.raw_values import part, record_id, text, utc
from psa.types import Article, Raw

WORDS_MAX = 6
"""Words that are looked for; each adds two filters."""
CANDIDATES = 100
"""Articles with one of the words that are compared; the newest, where there are more."""


class ArticleOperations(ConnectWisePart):
    """Reading of the knowledge base."""

    def articles_search(self, words: Sequence[str], *, limit: int = 5) -> list[Article]:
        wanted = list(dict.fromkeys(word.casefold() for word in words if word.strip()))[:WORDS_MAX]
        if not wanted:
            return []
        places = [contains(field, word[:60]) for word in wanted for field in ("title", "issue")]
        found = self.api.page(
            "/service/knowledgeBaseArticles",
            article,
            operation="articles_search",
            conditions=any_of(*places),
            order_by="id desc",
            page_size=CANDIDATES,
        )
        ranked = sorted(found.items, key=lambda one: _hits(one, wanted), reverse=True)
        return ranked[:limit]


def article(raw: Raw) -> Article:
    """Return an article."""
    info = part(raw, "_info")
    return Article(
        id=record_id(raw),
        title=text(raw, "title"),
        issue=text(raw, "issue").replace("\r\n", "\n"),
        resolution=text(raw, "resolution").replace("\r\n", "\n"),
        updated_at=utc(info.get("lastUpdated")) or utc(raw.get("dateCreated")),
        raw=raw,
    )


def _hits(found: Article, wanted: Collection[str]) -> int:
    """Return how well an article fits: a word counts twice in the title."""
    title, issue = found.title.casefold(), found.issue.casefold()
    return sum(2 * (word in title) + (word in issue) for word in wanted)
