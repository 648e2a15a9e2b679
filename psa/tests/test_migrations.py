"""The six schema changes stay the six readable steps of the product, in order, and none is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import CreateModel
from django.db.models import ForeignKey

STEPS = [
    ("0001_connection", {"Connection", "AuditEntry"}),
    ("0002_ticket_link", {"TicketLink"}),
    ("0003_delivery", {"WorkUnit", "Delivery", "DeliveryAttempt"}),
    ("0004_status_rule", {"StatusRule"}),
    ("0005_member_mapping", {"MemberMapping"}),
    ("0006_callback", {"CallbackSubscription", "WebhookReceipt"}),
]


@pytest.fixture(scope="module")
def loader() -> MigrationLoader:
    return MigrationLoader(None)


def own(loader: MigrationLoader) -> list[str]:
    return sorted(name for app, name in loader.disk_migrations if app == "psa")


def test_six_steps_come_first_and_make_their_tables(loader: MigrationLoader) -> None:
    found = [
        (
            name,
            {
                operation.name
                for operation in loader.disk_migrations["psa", name].operations
                if isinstance(operation, CreateModel)
            },
        )
        for name in own(loader)[: len(STEPS)]
    ]
    assert found == STEPS


def test_each_migration_follows_the_one_before(loader: MigrationLoader) -> None:
    names = own(loader)
    for before, name in zip(names, names[1:], strict=False):
        dependencies = loader.disk_migrations["psa", name].dependencies
        assert [found for app, found in dependencies if app == "psa"] == [before]


def test_every_migration_has_a_telling_name(loader: MigrationLoader) -> None:
    assert not [name for name in own(loader) if "auto" in name or "initial" in name]


def test_tenant_and_user_are_swappable(loader: MigrationLoader) -> None:
    """A host's own models stand in no migration: each that points at them depends on the setting."""
    for name in own(loader):
        migration = loader.disk_migrations["psa", name]
        swappable = {getattr(dependency, "setting", None) for dependency in migration.dependencies}
        targets = {
            str(field.remote_field.model)
            for operation in migration.operations
            if isinstance(operation, CreateModel)
            for _field_name, field in operation.fields
            if isinstance(field, ForeignKey)
        }
        hosts = {target for target in targets if not target.startswith("psa.")}
        assert hosts <= {settings.PSA_TENANT_MODEL, settings.AUTH_USER_MODEL}, name
        assert hosts <= swappable, name
        for dependency in migration.dependencies:
            assert dependency[0] == "psa" or getattr(dependency, "setting", None), (name, dependency)


def test_migration_files_name_no_host(loader: MigrationLoader) -> None:
    for name in own(loader):
        module = sys.modules[type(loader.disk_migrations["psa", name]).__module__]
        text = Path(str(module.__file__)).read_text()
        assert "accounts" not in text
        assert "resolutionflow" not in text


@pytest.mark.django_db
def test_no_migration_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("makemigrations", "psa", check=True, dry_run=True)
    assert "No changes detected" in capsys.readouterr().out


@pytest.mark.django_db
def test_every_table_is_there() -> None:
    tables = set(connection.introspection.table_names())
    assert {model._meta.db_table for model in apps.get_app_config("psa").get_models()} <= tables
