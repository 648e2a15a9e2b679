"""What never stands in a log line."""

from __future__ import annotations

import logging
import uuid

import pytest
import structlog
from django.test import Client


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_secret_of_a_callback_address_is_not_logged(
    caplog: pytest.LogCaptureFixture, method: str
) -> None:
    secret = uuid.uuid4()
    with caplog.at_level("WARNING", logger="django.request"):
        logging.getLogger("django").addHandler(caplog.handler)
        answer = getattr(Client(), method)(f"/psa/webhooks/{secret}/57001")
        logging.getLogger("django").removeHandler(caplog.handler)
    assert answer.status_code in (404, 405)
    ours = next(
        handler
        for logger in (logging.getLogger("django"), logging.getLogger())
        for handler in logger.handlers
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
    )
    lines = [ours.format(record) for record in caplog.records]
    assert any("/psa/webhooks/" in line for line in lines)
    assert not any(str(secret) in line for line in lines)
