"""Start the ConnectWise sandbox from the command line. The server itself knows nothing of Django."""

from __future__ import annotations

import json
import os
import signal
import ssl
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.connectwise.sandbox.state import Credentials

ENVIRONMENT = {
    "company_id": "CONNECTWISE_SANDBOX_COMPANY_ID",
    "public_key": "CONNECTWISE_SANDBOX_PUBLIC_KEY",
    "private_key": "CONNECTWISE_SANDBOX_PRIVATE_KEY",
    "client_id": "CONNECTWISE_SANDBOX_CLIENT_ID",
}
"""Credential → variable that sets it; what is not set is random at each start."""


class Command(BaseCommand):
    help = "Serve the ConnectWise PSA API from local, made-up data until interrupted."
    requires_system_checks: list[str] = []  # it needs neither database nor settings

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8444, help="0 takes any free port")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--latency-ms", type=float, default=0, help="wait before each answer")
        parser.add_argument("--empty", action="store_true", help="no customers and no tickets")
        parser.add_argument("--tls-cert", metavar="FILE", help="certificate (PEM): serve https")
        parser.add_argument("--tls-key", metavar="FILE", help="private key of --tls-cert")

    def handle(self, *args: Any, **options: Any) -> None:
        given = {name: os.environ[key] for name, key in ENVIRONMENT.items() if os.environ.get(key)}
        try:
            server = SandboxServer(
                port=options["port"],
                latency_ms=options["latency_ms"],
                empty=options["empty"],
                credentials=Credentials(**given),
                ssl_context=_tls(options["tls_cert"], options["tls_key"]),
                host=options["host"],
            )
        except OSError as exc:
            address = f"{options['host']}:{options['port']}"
            raise CommandError(
                f"The sandbox cannot listen on {address}: {exc.strerror or exc}.", returncode=1
            ) from exc
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        with server:
            keys = server.credentials
            line = {
                "url": server.url,
                "company_id": keys.company_id,
                "public_key": keys.public_key,
                "private_key": keys.private_key,
                "client_id": keys.client_id,
            }
            self.stdout.write(json.dumps(line))
            self.stdout.flush()
            stop.wait()


def _tls(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise CommandError("--tls-key needs --tls-cert.", returncode=1)
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as exc:
        raise CommandError(f"The certificate {certificate} cannot be read: {exc}.", returncode=1) from exc
    return context
