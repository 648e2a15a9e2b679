"""Owns `manage.py seed_demo`: a demo tenant to click through. The data stands in `accounts/demo.py`."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from psa import selectors, services
from psa.exceptions import ProviderError, PsaError, ServiceError
from psa.types import Actor
from resolutionflow.accounts import demo
from resolutionflow.accounts.models import Account, ApiToken, User
from resolutionflow.accounts.services import membership_set, token_create, token_revoke, user_create
from resolutionflow.flows.models import Flow
from resolutionflow.flows.services import flow_create
from resolutionflow.sessions.models import FlowSession
from resolutionflow.sessions.services import session_create, step_add


class Command(BaseCommand):
    """Fill the database with the demo, or refresh a demo. Each run makes new passwords and a new token."""

    help = "Make or refresh the demo tenant; prints its new passwords and its new API token."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --no-connection."""
        parser.add_argument(
            "--no-connection", action="store_true", help="leave out the connection to the ConnectWise sandbox"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed, then print what a person needs to sign in."""
        with transaction.atomic():
            account = _account()
            passwords = {person.username: _person(account, person) for person in demo.PEOPLE}
            flows = {flow.title: _flow(account, flow) for flow in demo.FLOWS}
            users = {user.username: user for user in User.objects.filter(membership__account=account)}
            _session(account, users["engineer"], flows[demo.SESSION_FLOW])
            key = _token(users["admin"])
        if not options["no_connection"]:
            self._connection(account, users["admin"])
            self._members(account, users["admin"])
        self.stdout.write(f"Admin: admin / {passwords['admin']}")
        self.stdout.write(f"Lead: lead / {passwords['lead']}")
        self.stdout.write(f"Engineer: engineer / {passwords['engineer']}")
        self.stdout.write(f"API token: {key}")

    def _connection(self, account: Account, admin: User) -> None:
        """Point the demo's connection at the sandbox; without an answer it is stored untested.

        Nothing is open on the database while the sandbox is asked.
        """
        sandbox = settings.DEMO_SANDBOX
        missing = sorted(name for name, value in sandbox["credentials"].items() if not value)
        if missing:
            names = ", ".join(f"CONNECTWISE_SANDBOX_{name.upper()}" for name in missing)
            raise CommandError(f"Set {names} (make run writes them to .env), or use --no-connection.")
        actor = Actor(admin.pk, admin.display_name)
        known = next((row for row in selectors.connections(account) if row.provider == "connectwise"), None)

        def store(*, verify: bool) -> None:
            if known is None:
                services.connection_create(
                    account,
                    actor=actor,
                    provider="connectwise",
                    name=demo.CONNECTION_NAME,
                    verify=verify,
                    **sandbox,
                )
            else:
                services.connection_update(account, known.pk, actor=actor, verify=verify, **sandbox)

        try:
            try:
                store(verify=True)
            except ProviderError as exc:
                store(verify=False)
                self.stderr.write(
                    f"The sandbox did not answer as it should, the connection is stored untested: {exc}"
                )
        except ServiceError as exc:
            details = "".join(f" {name}: {' '.join(texts)}" for name, texts in exc.fields.items())
            raise CommandError(f"The demo connection could not be stored. {exc}{details}") from exc

    def _members(self, account: Account, admin: User) -> None:
        """Map the demo's people to the sandbox's members by e-mail, so that notes show who wrote them."""
        actor = Actor(admin.pk, admin.display_name)
        for connection in selectors.connections(account).filter(provider="connectwise"):
            try:
                services.members_match(account, connection.pk, actor=actor)
            except PsaError as exc:
                self.stderr.write(f"The demo's people could not be mapped to members of the sandbox: {exc}")


def _account() -> Account:
    other = Account.objects.exclude(slug=demo.ACCOUNT_SLUG).first()
    if other is not None:
        raise CommandError(
            f"This database holds another tenant ({other.name}). The demo goes into an empty database only."
        )
    return Account.objects.get_or_create(slug=demo.ACCOUNT_SLUG, defaults={"name": demo.ACCOUNT_NAME})[0]


def _person(account: Account, person: demo.DemoPerson) -> str:
    """Make the person, or give them a new password and their role back; return the password."""
    password = secrets.token_urlsafe(12)
    user = User.objects.select_related("membership").filter(username=person.username).first()
    if user is None:
        user_create(
            account,
            username=person.username,
            password=password,
            role=person.role,
            email=person.email,
            first_name=person.first_name,
            last_name=person.last_name,
            time_zone=person.time_zone,
        )
        return password
    if getattr(user, "membership", None) is None:
        raise CommandError(
            f"There is a user {person.username} who is not of the demo. Use an empty database."
        )
    user.set_password(password)
    user.is_active = True
    user.save(update_fields=["password", "is_active"])
    membership_set(user, account, person.role)
    return password


def _flow(account: Account, flow: demo.DemoFlow) -> Flow:
    known = Flow.objects.filter(account=account, title=flow.title).first()
    return known or flow_create(
        account, title=flow.title, description=flow.description, keywords=flow.keywords, steps=flow.steps
    )


def _session(account: Account, engineer: User, flow: Flow) -> None:
    """Begin the half-done session, once: whoever has completed it keeps it as it is."""
    if FlowSession.objects.filter(account=account, title=demo.SESSION_TITLE).exists():
        return
    actor = Actor(engineer.pk, engineer.display_name)
    session = session_create(account, actor=actor, title=demo.SESSION_TITLE, flow_id=flow.pk)
    for step in demo.SESSION_STEPS:
        step_add(account, session.pk, actor=actor, title=step.title, body=step.body, result=step.result)


def _token(admin: User) -> str:
    """Revoke the token of the last run and return the key of a new one."""
    for token in ApiToken.objects.filter(user=admin, name=demo.TOKEN_NAME, revoked_at=None):
        token_revoke(token)
    return token_create(admin, name=demo.TOKEN_NAME).key
