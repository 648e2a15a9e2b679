"""Owns how the changes people made to a note on its ticket are answered with a delivery."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from rest_framework import serializers

from psa.api.schema import EnumField, shaped
from psa.models import Delivery


class CorrectionKind(StrEnum):
    """What somebody did to a note that stood on its ticket."""

    HIDDEN = "hidden"
    """Only staff reads it since."""
    CORRECTED = "corrected"
    """It has another text since."""
    MOVING = "moving"
    """A copy was queued for another ticket."""
    MOVED = "moved"
    """The copy is there, and the note is gone here."""
    COPIED = "copied"
    """The copy is there, but the PSA kept the note here as well."""
    REMOVED = "removed"
    """It is not on the ticket any more."""
    DOUBLE_REMOVED = "double-removed"
    """It stood there more than once; the first one stayed."""


class CorrectionSerializer(serializers.Serializer[Any]):
    """One change of a note on its ticket."""

    what = EnumField(CorrectionKind)
    by = serializers.CharField()
    at = serializers.DateTimeField()


@shaped(CorrectionSerializer(many=True))
class CorrectionsField(serializers.Field[Any, Any, Any, Any]):
    """What people did to a note once it was on its ticket, in order."""

    def __init__(self, **options: Any) -> None:
        super().__init__(source="*", read_only=True, **options)

    def to_representation(self, value: Delivery) -> list[Any]:
        """Return the changes."""
        return list(CorrectionSerializer(value.payload.get("corrections", []), many=True).data)
