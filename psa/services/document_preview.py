"""Owns the preview of a file: the name it gets, who sees it, and whether the PSA takes one of its size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psa.exceptions import PsaError
from psa.models import TicketLink
from psa.models.delivery import API_MEMBER
from psa.provider_pool import provider_for
from psa.providers.registry import UnknownProviderError
from psa.types import PartPreview


def document_preview(link: TicketLink, payload: Mapping[str, Any]) -> PartPreview:
    """Return what attaching a file would do. May ask the PSA for its limit; its silence passes.

    Shape: text is the file's name as it will stand on the ticket.
    """
    try:
        most = provider_for(link.connection).document_max_bytes()
    except (PsaError, UnknownProviderError):
        most = None
    notes = []
    if most is not None and payload["size"] > most:
        notes.append(f"The PSA takes files up to {most:,} bytes: this one will need a person.")
    return PartPreview(
        kind="document",
        part=1,
        parts=1,
        text=payload["file_name"],
        visible_to="staff",
        mails=(),
        author=API_MEMBER,
        author_kind="api_member",
        notes=tuple(notes),
        size=payload["size"],
    )
