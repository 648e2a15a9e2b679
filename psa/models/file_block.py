"""Owns the content of files that wait to be attached: cut into blocks, so that nobody holds a whole one."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from psa.models.delivery import Delivery


class FileBlock(models.Model):
    """One piece of the file of a `document` delivery. Stored with it in one transaction.

    In the database, and not in a folder, so that every worker of a fleet has it, and so that a delivery never
    outlives its file.
    """

    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="file_blocks")
    number = models.PositiveIntegerField()
    """Place in the file, from 0."""
    content = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["delivery", "number"], name="psa_file_block_one_per_place"),
        ]

    def __str__(self) -> str:
        return f"Block {self.number} of {self.delivery_id}"
