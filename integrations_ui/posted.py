"""Owns reading an id out of what was posted: anything may stand there."""

from __future__ import annotations

from django.http import HttpRequest

ID_MAX_CHARS = 18


def posted_id(request: HttpRequest, name: str) -> int:
    """Return the id in a field; 0, which nothing has, for what is none."""
    given = request.POST.get(name, "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) <= ID_MAX_CHARS else 0
