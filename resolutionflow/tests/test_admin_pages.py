"""Every page of the admin, found in its registry: own rows only, no secret, few queries, few forms."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection as database
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from psa.models import AttemptCursor, AttemptTotal, PeriodicJob
from resolutionflow.accounts.models import Role, User
from resolutionflow.accounts.services import membership_set
from resolutionflow.tests.admin_rows import Tenant, tenant_grow, tenant_make

PAGES = {model._meta.label: page for model, page in admin.site._registry.items()}
LIBRARIES = {"account.EmailAddress"}
"""Pages of libraries, which follow Django's permissions: for superusers."""
OPERATOR = {"psa.AttemptCursor", "psa.AttemptTotal", "psa.PeriodicJob"}
"""Tables that belong to no tenant."""
TENANT = sorted(set(PAGES) - LIBRARIES - OPERATOR)
WRITABLE = {
    "accounts.Account": {"change"},
    "accounts.ApiToken": {"add", "delete"},
    "accounts.User": {"add", "change", "delete"},
    "flows.Flow": {"add", "change", "delete"},
    "mfa.Authenticator": {"delete"},
}
"""What an account's admin may do by forms. Everything else is read."""

of_tenant = pytest.mark.parametrize("label", TENANT)
of_all = pytest.mark.parametrize("label", sorted(PAGES))


@pytest.fixture
def ours(db: None) -> Tenant:
    return tenant_make("Northwind")


@pytest.fixture
def theirs(db: None) -> Tenant:
    return tenant_make("Fabrikam")


@pytest.fixture
def root(db: None) -> Client:
    return signed_in(User.objects.create_superuser("root", "", "x"))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    return client


def url(label: str, what: str, *args: Any) -> str:
    return reverse(f"admin:{label.lower().replace('.', '_')}_{what}", args=args)


def urls_of(label: str, row: Model) -> list[str]:
    """Return the addresses at which a row could be seen."""
    on_row = [url(label, what, row.pk) for what in ("change", "history", "delete")]
    return [url(label, "changelist"), url(label, "add"), *on_row]


def operator_rows(number: int = 1) -> dict[str, Any]:
    now = timezone.now()
    return {
        "psa.AttemptCursor": AttemptCursor.objects.create(counted_id=number),
        "psa.AttemptTotal": AttemptTotal.objects.create(
            provider="dummy", action="send", kind="analysis", outcome=f"no-{number}"
        ),
        "psa.PeriodicJob": PeriodicJob.objects.create(name=f"job-{number}", due_at=now),
    }


def queries_of(client: Client, address: str) -> int:
    with CaptureQueriesContext(database) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


def test_every_model_has_a_page() -> None:
    own = [
        model._meta.label
        for config in apps.get_app_configs()
        if config.name.split(".")[0] in ("psa", "resolutionflow")
        for model in config.get_models()
    ]
    assert set(own) <= set(PAGES)
    unsearched = {label for label, page in PAGES.items() if not page.search_fields}
    assert unsearched - LIBRARIES == {"psa.AttemptCursor"}


def test_there_is_a_row_for_every_page(ours: Tenant) -> None:
    assert {*ours.rows, *operator_rows()} == set(PAGES) - LIBRARIES


@of_tenant
def test_own_row_is_seen(ours: Tenant, label: str) -> None:
    client, row = signed_in(ours.owner), ours.rows[label]
    assert url(label, "change", row.pk) in client.get(url(label, "changelist")).content.decode()
    assert client.get(url(label, "change", row.pk)).status_code == 200
    assert client.get(url(label, "history", row.pk)).status_code == 200


@of_tenant
def test_rows_of_another_tenant_are_out_of_reach(ours: Tenant, theirs: Tenant, label: str) -> None:
    client, row = signed_in(ours.owner), theirs.rows[label]
    assert url(label, "change", row.pk) not in client.get(url(label, "changelist")).content.decode()
    found = client.get(url(label, "changelist"), {"q": "Fabrikam"}).content.decode()
    assert url(label, "change", row.pk) not in found
    for what in ("change", "history", "delete"):
        assert client.get(url(label, what, row.pk)).status_code in (302, 403, 404), what
        assert client.post(url(label, what, row.pk), {"post": "yes"}).status_code in (302, 403, 404, 405), (
            what
        )
    client.post(
        url(label, "changelist"),
        {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
    )
    assert type(row)._base_manager.filter(pk=row.pk).exists()


@of_tenant
def test_no_choice_or_text_is_of_another_tenant(ours: Tenant, theirs: Tenant, label: str) -> None:
    client = signed_in(ours.owner)
    tenant_grow(ours, 2)  # Django leaves out a filter with a single choice
    seen = [client.get(address) for address in urls_of(label, ours.rows[label])]
    assert seen[0].status_code == 200
    assert not [answer.request["PATH_INFO"] for answer in seen if "Fabrikam" in answer.content.decode()]


@of_tenant
def test_no_secret_is_shown(ours: Tenant, root: Client, label: str) -> None:
    membership_set(User.objects.get(username="root"), ours.world.account, Role.ADMIN)
    assert len(ours.secrets) > 10
    for client in (signed_in(ours.owner), root):
        for address in urls_of(label, ours.rows[label]):
            shown = client.get(address).content.decode()
            assert not [secret for secret in [*ours.secrets, "psa1:"] if secret in shown], address


@of_tenant
def test_only_a_few_are_changed_by_forms(ours: Tenant, label: str) -> None:
    client, row = signed_in(ours.owner), ours.rows[label]
    allowed = WRITABLE.get(label, set())
    may = {
        "add": client.get(url(label, "add")).status_code,
        "change": client.post(url(label, "change", row.pk), {}).status_code,
        "delete": client.get(url(label, "delete", row.pk)).status_code,
    }
    assert may == {what: 200 if what in allowed else 403 for what in may}
    if not allowed:
        assert 'name="_save"' not in client.get(url(label, "change", row.pk)).content.decode()
        chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        client.post(url(label, "changelist"), chosen)
        assert client.post(url(label, "delete", row.pk), {"post": "yes"}).status_code == 403
        assert type(row)._base_manager.filter(pk=row.pk).exists()


@of_tenant
def test_queries_do_not_grow_with_the_rows(ours: Tenant, label: str) -> None:
    client = signed_in(ours.owner)
    addresses = [url(label, "changelist"), url(label, "change", ours.rows[label].pk)]
    tenant_grow(ours, 2)  # a filter is there from the second choice on
    for address in addresses:
        queries_of(client, address)  # the first one fills Django's cache of content types
    before = [queries_of(client, address) for address in addresses]
    listed = client.get(addresses[0]).content.decode().count("/change/")
    for number in range(3, 8):
        tenant_grow(ours, number)
    assert [queries_of(client, address) for address in addresses] == before
    grown = client.get(addresses[0]).content.decode().count("/change/")
    assert grown > listed or label == "accounts.Account"


@pytest.mark.parametrize("label", sorted(OPERATOR))
def test_what_belongs_to_no_tenant_is_read_by_superusers(ours: Tenant, root: Client, label: str) -> None:
    row = operator_rows()[label]
    for address in urls_of(label, row):
        assert signed_in(ours.owner).get(address).status_code == 403
    assert root.get(url(label, "change", row.pk)).status_code == 200
    assert root.get(url(label, "add")).status_code == 403
    assert root.post(url(label, "change", row.pk), {}).status_code == 403
    assert root.post(url(label, "delete", row.pk), {"post": "yes"}).status_code == 403
    queries_of(root, url(label, "changelist"))
    before = queries_of(root, url(label, "changelist"))
    for number in range(2, 6):
        operator_rows(number)
    assert queries_of(root, url(label, "changelist")) == before


@of_all
@pytest.mark.parametrize("role", [Role.LEAD, Role.ENGINEER])
def test_leads_and_engineers_are_let_into_no_page(ours: Tenant, role: Role, label: str) -> None:
    person = ours.world.engineer
    membership_set(person, ours.world.account, role)
    row = (ours.rows | operator_rows()).get(label, person)
    client = signed_in(person)
    for address in urls_of(label, row):
        answer = client.get(address)
        assert (answer.status_code, "login" in answer.headers["Location"]) == (302, True), address
    User.objects.filter(pk=person.pk).update(is_staff=True)
    for address in urls_of(label, row):
        assert client.get(address).status_code in (302, 403, 404), address
        assert client.post(address, {"post": "yes"}).status_code in (302, 403, 404, 405), address


def test_index_of_staff_without_a_role_is_empty(ours: Tenant) -> None:
    User.objects.filter(pk=ours.world.engineer.pk).update(is_staff=True)
    shown = signed_in(ours.world.engineer).get(reverse("admin:index")).content.decode()
    assert not [label for label in PAGES if url(label, "changelist") in shown]
