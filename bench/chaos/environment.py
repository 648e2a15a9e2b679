"""Owns the environment of a set-up: this process and all it starts see nothing of the developer's own."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping

from cryptography.fernet import Fernet

from bench.chaos.options import broker_url


def environment_set(database_url: str, times: Mapping[str, object], queue: str = "") -> None:
    """Set the environment as an installation has it: no debugging, fresh keys.

    times are the `PSA` settings that are shortened. A queue chooses the Celery engine on a queue so called.
    """
    os.environ.update(
        ENV_FILE=os.devnull,
        DJANGO_SETTINGS_MODULE="bench.chaos.settings",
        DEBUG="0",
        SECRET_KEY=secrets.token_urlsafe(50),
        PSA_ENCRYPTION_KEYS=Fernet.generate_key().decode(),
        PSA_TRUSTED_HOSTS="127.0.0.1",
        PSA_CA_BUNDLE="",
        DATABASE_URL=database_url,
        CACHE_URL="locmemcache://",
        CELERY_BROKER_URL=broker_url() if queue else "",
        CELERY_QUEUE=queue or "psa",
        CHAOS_PSA=json.dumps(times),
    )
