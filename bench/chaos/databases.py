"""Owns the fresh database of a set-up, and what of this machine can be used at all."""

from __future__ import annotations

import contextlib
import importlib.util
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bench.chaos.options import broker_url, postgres_url


class Keep:
    """Whether a database outlives its run: set once something was found wrong."""

    def __init__(self, keep: bool) -> None:
        self.keep = keep


@contextlib.contextmanager
def fresh_database(kind: str, folder: Path, kept: Keep) -> Iterator[str]:
    """Yield the DATABASE_URL of an empty database, dropped at the end unless it is to be kept."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'chaos.sqlite3'}"
        return
    name = f"resolutionflow_chaos_{secrets.token_hex(4)}"
    _postgres(f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(postgres_url())._replace(path=f"/{name}"))
    finally:
        if kept.keep:
            print(f"The database {name} was left in place.", flush=True)
        else:
            _postgres(f'DROP DATABASE "{name}" WITH (FORCE)')


def _postgres(statement: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url(), autocommit=True, connect_timeout=5) as connection:
        connection.execute(statement)


def postgres_missing() -> str:
    """Return why PostgreSQL cannot be used, "" when it can."""
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed"
    import psycopg

    try:
        psycopg.connect(postgres_url(), connect_timeout=3).close()
    except psycopg.Error:
        return "nothing answers at DATABASE_TEST_URL"
    return ""


def celery_missing() -> str:
    """Return why the Celery set-up cannot be run, "" when it can."""
    if importlib.util.find_spec("celery") is None:
        return "Celery is not installed"
    if importlib.util.find_spec("resolutionflow.celery") is None:
        return "this version has no Celery app"
    broker = urlsplit(broker_url())
    default = {"redis": 6379}.get(broker.scheme, 5672)
    try:
        socket.create_connection((broker.hostname or "127.0.0.1", broker.port or default), 3).close()
    except OSError:
        return "no broker answers at CELERY_BROKER_URL"
    return ""


def queue_delete(name: str) -> None:
    """Delete the queue of a run from the broker."""
    from kombu import Connection

    with Connection(broker_url(), connect_timeout=5) as connection:
        channel = connection.default_channel
        if connection.transport.driver_type == "amqp":
            channel.queue_delete(name)
            # Celery declares a direct exchange of the queue's name.
            channel.exchange_delete(name)
        else:
            channel.queue_purge(name)
