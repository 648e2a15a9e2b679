"""People who change one note at the same time: one is first, the others are told so."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections

from psa import services
from psa.exceptions import ConflictError
from psa.models import AuditEntry, Delivery
from psa.outbox.tests.corrections.seen import Stored, is_free
from psa.types import Scope

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_we_know_of_a_note_is_what_stands_on_the_ticket(
    shown: Delivery, tenant: Any, scope: Scope, stored: Stored
) -> None:
    said: list[str] = []
    start = threading.Barrier(6)

    def correct(number: int) -> None:
        try:
            start.wait(10)
            services.note_correct(tenant, shown.pk, scope=scope, text=f"text {number}")
            said.append("done")
        except ConflictError as exc:
            said.append(exc.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=correct, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(said) <= {"done", "in-flight"}
    assert len(said) == 6
    assert "done" in said
    shown.refresh_from_db()
    assert f"\n{shown.payload['text']}\n" in stored()[0]["text"]
    assert AuditEntry.objects.filter(verb="note.corrected").count() == said.count("done")
    assert is_free(shown)
