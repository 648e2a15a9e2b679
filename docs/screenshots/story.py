"""Owns the story the pictures show: the demo, and what its people did with it in one afternoon."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from unittest import mock

import django

django.setup()

from django.conf import settings  # noqa: E402  everything below needs the set-up
from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.testcases import LiveServerThread  # noqa: E402

from psa import selectors  # noqa: E402
from psa import services as psa_services  # noqa: E402
from psa.outbox.worker import Worker  # noqa: E402
from psa.providers.connectwise.sandbox.server import SandboxServer  # noqa: E402
from psa.providers.connectwise.sandbox.state import Credentials  # noqa: E402
from psa.types import Actor, NoteKind  # noqa: E402
from resolutionflow.accounts import demo  # noqa: E402
from resolutionflow.accounts.models import Account, User  # noqa: E402
from resolutionflow.sessions import services  # noqa: E402
from resolutionflow.sessions.models import FlowSession, Outcome  # noqa: E402

HELP_DESK = "1"
"""A board of the sandbox."""
OUTLOOK, DRIVE, TEAMS = "57001", "57006", "57009"
"""Tickets of the sandbox, all on that board."""
REFUSED = {
    "code": "InvalidObject",
    "message": "serviceNote object is invalid",
    "errors": [{"code": "TooLong", "message": "The text is too long.", "field": "text"}],
}
"""How the sandbox refuses one note."""

Shift = Callable[[timedelta], None]


@dataclass(frozen=True, slots=True)
class Story:
    """A running site, and the ids of what its pages show."""

    url: str
    ids: dict[str, int]

    def sign_in(self, username: str) -> str:
        """Return the value of a session cookie."""
        client = Client()
        client.force_login(User.objects.get(username=username))
        return client.cookies["sessionid"].value


@contextmanager
def story_tell(sandbox_port: int, shift: Shift) -> Iterator[Story]:
    """Fill the database, and serve its pages while the block runs. shift moves the clock on."""
    sandbox = SandboxServer(
        port=sandbox_port, credentials=Credentials(**settings.DEMO_SANDBOX["credentials"])
    )
    server = LiveServerThread("127.0.0.1", StaticFilesHandler)
    with ExitStack() as stack:
        stack.enter_context(sandbox)
        # The last lines of notes are random; here they are the same each time.
        same = random.Random(1)  # noqa: S311  guards nothing
        stack.enter_context(mock.patch("psa.outbox.text.secrets", same))
        call_command("migrate", verbosity=0)
        call_command("seed_demo", stdout=io.StringIO())
        ids = _happen(sandbox, shift)
        server.start()
        server.is_ready.wait()
        try:
            yield Story(f"http://127.0.0.1:{server.port}", ids)
        finally:
            server.terminate()
            server.join()


def _happen(sandbox: SandboxServer, shift: Shift) -> dict[str, int]:
    """Let the people of the demo work for an afternoon; return the ids of what came of it."""
    account = Account.objects.get()
    alice, ben, erin = (_actor(name) for name in ("admin", "lead", "engineer"))
    connection = selectors.connections(account).get()
    rules = [
        psa_services.StatusRuleDraft(HELP_DESK, "resolved", "Closed"),
        psa_services.StatusRuleDraft(HELP_DESK, "escalated", "Escalated"),
    ]
    psa_services.status_rules_set(account, connection.pk, rules, actor=alice)

    def begin(actor: Actor, title: str, ticket: str, *steps: str) -> FlowSession:
        shift(timedelta(minutes=9))
        session = services.session_create(account, actor=actor, title=title)
        services.ticket_link(account, session.pk, connection.pk, ticket, actor=actor)
        for step in steps:
            services.step_add(account, session.pk, actor=actor, body=step)
        return session

    def complete(actor: Actor, session: FlowSession, summary: str) -> None:
        shift(timedelta(minutes=14))
        draft = services.CompletionDraft(outcome=Outcome.RESOLVED, resolution=summary)
        services.session_complete(account, session.pk, draft, actor=actor)
        Worker().run(once=True)

    drive = begin(ben, "Shared drive not reachable", DRIVE, "Name resolves, the share does not answer.")
    complete(ben, drive, "The drive opens again. The file server had restarted and now starts by itself.")
    teams = begin(erin, "Teams calls without sound", TEAMS, "Other programs do have sound.")
    sandbox.faults.add("status", method="POST", path="/notes$", status=400, count=1, body=json.dumps(REFUSED))
    complete(erin, teams, "Teams used a headset that was unplugged. It follows the default device now.")
    outlook = FlowSession.objects.get(title=demo.SESSION_TITLE)
    shift(timedelta(minutes=6))
    services.ticket_link(account, outlook.pk, connection.pk, OUTLOOK, actor=erin)
    services.note_post(account, outlook.pk, actor=erin, kind=NoteKind.ANALYSIS)
    shift(timedelta(minutes=1))
    Worker().run(once=True)
    shift(timedelta(minutes=4))
    told = selectors.unit_origin_deliveries(account, drive.origin).get(kind="resolution")
    return {"connection": connection.pk, "session": outlook.pk, "delivery": told.pk}


def _actor(username: str) -> Actor:
    user = User.objects.get(username=username)
    return Actor(user.pk, user.display_name)
