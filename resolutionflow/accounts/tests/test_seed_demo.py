"""Tests of `manage.py seed_demo`: what it makes, that it can be run again, what it refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from psa.exceptions import ConnectFailedError, InvalidInputError
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.management.commands import seed_demo
from resolutionflow.accounts.models import Account, ApiToken, Role, User
from resolutionflow.flows.models import Flow
from resolutionflow.sessions.models import FlowSession

pytestmark = pytest.mark.django_db

SANDBOX = {
    "site": "http://127.0.0.1:8001",
    "credentials": {"company_id": "c", "public_key": "p", "private_key": "k", "client_id": "i"},
}


def seed(*arguments: str) -> dict[str, str]:
    out = StringIO()
    call_command("seed_demo", *arguments, stdout=out, stderr=StringIO())
    return dict(line.split(": ", 1) for line in out.getvalue().splitlines())


class Door:
    """Stands where psa's services are, and notes what was asked of them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool]] = []
        self.fails: Exception | None = None

    def connection_create(self, tenant: Account, *, verify: bool, **given: Any) -> None:
        self._note("create", verify)

    def connection_update(self, tenant: Account, connection_id: int, *, verify: bool, **given: Any) -> None:
        self._note("update", verify)

    def _note(self, verb: str, verify: bool) -> None:
        self.calls.append((verb, verify))
        if self.fails is not None and verify:
            raise self.fails


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Door:
    found = Door()
    settings.DEMO_SANDBOX = SANDBOX
    monkeypatch.setattr(seed_demo, "services", found)
    return found


def test_prints_who_can_sign_in_and_how() -> None:
    lines = seed("--no-connection")
    user = User.objects.get(username="admin")
    assert set(lines) == {"Admin", "Engineer", "Lead", "API token"}
    assert user.check_password(lines["Admin"].removeprefix("admin / "))


@pytest.mark.parametrize(
    ("username", "role"), [("admin", "admin"), ("lead", "lead"), ("engineer", "engineer")]
)
def test_makes_one_person_of_each_role(username: str, role: str) -> None:
    seed("--no-connection")
    assert User.objects.get(username=username).membership.role == Role(role)


def test_makes_three_flows_with_steps() -> None:
    seed("--no-connection")
    assert all(flow.steps.count() >= 4 for flow in Flow.objects.all())
    assert Flow.objects.count() == 3


def test_makes_a_session_that_is_half_done() -> None:
    seed("--no-connection")
    session = FlowSession.objects.get()
    assert session.is_open
    assert session.steps.count() == 4
    assert session.created_by.username == "engineer"


def test_second_run_adds_nothing() -> None:
    seed("--no-connection")
    seed("--no-connection")
    counts = [model.objects.count() for model in (Account, User, Flow, FlowSession)]
    assert counts == [1, 3, 3, 1]


def test_each_run_gives_new_passwords() -> None:
    first, second = seed("--no-connection"), seed("--no-connection")
    assert first["Engineer"] != second["Engineer"]
    assert User.objects.get(username="engineer").check_password(
        second["Engineer"].removeprefix("engineer / ")
    )


def test_each_run_makes_one_token_and_revokes_its_last() -> None:
    seed("--no-connection")
    key = seed("--no-connection")["API token"]
    token = ApiToken.objects.get(revoked_at=None)
    assert key.startswith(f"rf_{token.prefix}_")
    assert token.user.username == "admin"
    assert ApiToken.objects.count() == 2


def test_tokens_of_people_are_left_alone() -> None:
    seed("--no-connection")
    own = seed_demo.token_create(User.objects.get(username="admin"), name="mine").token
    seed("--no-connection")
    assert not ApiToken.objects.get(pk=own.pk).is_revoked


def test_demoted_demo_admin_gets_the_role_back() -> None:
    seed("--no-connection")
    User.objects.filter(username="admin").update(is_active=False, is_staff=False)
    seed("--no-connection")
    user = User.objects.get(username="admin")
    assert (user.is_active, user.is_staff) == (True, True)


def test_database_of_another_tenant_is_refused() -> None:
    Account.objects.create(name="Real Customer", slug="real")
    with pytest.raises(CommandError, match="Real Customer"):
        seed("--no-connection")
    assert not User.objects.exists()


def test_user_who_is_not_of_the_demo_is_refused() -> None:
    User.objects.create_superuser("admin", "", "x")
    with pytest.raises(CommandError, match="not of the demo"):
        seed("--no-connection")
    assert not Account.objects.exists()


def test_connection_is_made_and_tested(door: Door) -> None:
    seed()
    assert door.calls == [("create", True)]


def test_connection_is_stored_untested_while_the_sandbox_is_down(door: Door) -> None:
    door.fails = ConnectFailedError("down")
    seed()
    assert door.calls == [("create", True), ("create", False)]


def test_refused_connection_is_told_by_field(door: Door) -> None:
    door.fails = InvalidInputError("No.", fields={"site": ["Not there."]})
    with pytest.raises(CommandError, match="site: Not there"):
        seed()


def test_missing_sandbox_keys_are_named(settings: Any) -> None:
    settings.DEMO_SANDBOX = SANDBOX | {"credentials": SANDBOX["credentials"] | {"public_key": ""}}
    with pytest.raises(CommandError, match="CONNECTWISE_SANDBOX_PUBLIC_KEY"):
        seed()


@pytest.fixture
def live_sandbox(settings: Any) -> Iterator[SandboxServer]:
    with SandboxServer(port=0) as sandbox:
        keys = dataclasses.asdict(sandbox.credentials)
        settings.DEMO_SANDBOX = {"site": sandbox.url, "credentials": keys}
        yield sandbox


def mapped() -> dict[str, str]:
    rows = apps.get_model("psa.MemberMapping").objects.filter(active=True)
    return {row.user.username: row.member_name for row in rows}


def test_demo_people_are_mapped_to_the_sandboxs_members(live_sandbox: SandboxServer) -> None:
    seed()
    assert mapped() == {"admin": "Alice Monroe", "lead": "Ben Keller", "engineer": "Erin Owens"}


def test_second_run_keeps_the_mappings_there_are(live_sandbox: SandboxServer) -> None:
    seed()
    before = list(apps.get_model("psa.MemberMapping").objects.values_list("pk", flat=True))
    seed()
    assert list(apps.get_model("psa.MemberMapping").objects.values_list("pk", flat=True)) == before


def test_demo_is_seeded_although_members_cannot_be_read(live_sandbox: SandboxServer) -> None:
    live_sandbox.faults.add(kind="status", path="/system/info/members", status=500)
    assert "API token" in seed()
    assert mapped() == {}
