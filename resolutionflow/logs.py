"""Owns how log lines look: key=value for people while debugging, one JSON object a line in production."""

from __future__ import annotations

import re
from typing import Any

import structlog
from django.http import HttpRequest

_CALLBACK_SECRET = re.compile(r"(/psa/webhooks/)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Where a PSA calls us: whoever reads logs must not learn the part nobody can guess."""

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def callback_secrets_hide(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Return a log line without the secret part of callback addresses."""
    for name, value in event.items():
        said = repr(value) if isinstance(value, HttpRequest) else value
        if isinstance(said, str):
            event[name] = _CALLBACK_SECRET.sub(r"\1…", said)
    return event


def logging_config(*, json: bool, level: str) -> dict[str, Any]:
    """Return Django's LOGGING dict and set structlog up to use the same handlers.

    Both `logging.getLogger` and `structlog.get_logger` end in one stream on stderr, with the request id that
    `RequestIdMiddleware` has bound.
    """
    renderer = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "logger", "event"])
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    callback_secrets_hide,
                    renderer,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": ["stderr"], "level": level, "propagate": False},
            # Django's development server would add a second line to each request.
            "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
    }
