"""Owns the preview of files: the names they get, who sees them, and whether the PSA takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from psa.exceptions import PsaError
from psa.models import TicketLink
from psa.models.delivery import API_MEMBER
from psa.provider_pool import provider_for
from psa.providers.registry import UnknownProviderError
from psa.types import PartPreview


def document_previews(link: TicketLink, payloads: Sequence[Mapping[str, Any]]) -> list[PartPreview]:
    """Return what attaching files would do. May ask the PSA for its limit, once; its silence passes.

    Shape: text is the file's name as it will stand on the ticket.
    """
    most = None
    if payloads:
        with suppress(PsaError, UnknownProviderError):
            most = provider_for(link.connection).document_max_bytes()
    return [_preview(payload, most) for payload in payloads]


def _preview(payload: Mapping[str, Any], most: int | None) -> PartPreview:
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
