"""Suggestions: made from what the PSA tells, for the right engineer, decided once, and learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from psa.exceptions import ConflictError, MissingError, ProviderError, UnavailableError
from psa.models import Connection
from psa.provider_pool import providers_close
from psa.providers.dummy.server import DummyServer
from psa.signals import bulk_changed, ticket_changed
from psa.types import Actor, RecordType, Ref, Scope, Status, Ticket, TicketDetails
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create
from resolutionflow.flows.models import Flow
from resolutionflow.flows.services import StepDraft, flow_create
from resolutionflow.sessions.models import FlowSession
from resolutionflow.suggestions import selectors, services
from resolutionflow.suggestions.models import Suggestion

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(name="Acme", slug="acme")


@pytest.fixture
def eva(account: Account) -> User:
    return user_create(account, username="eva", password="x", first_name="Eva", last_name="Owens")


@pytest.fixture
def ben(account: Account) -> User:
    return user_create(account, username="ben", password="x")


def scope_of(user: User, *, leads: bool = False) -> Scope:
    return Scope(user.membership.account, Actor(user.pk, user.display_name), can_lead=leads, can_post=True)


@pytest.fixture
def connection(account: Account, settings: Any) -> Iterator[Connection]:
    settings.PSA = {**settings.PSA, "PROVIDERS": {"dummy": "psa.providers.dummy.provider.DummyProvider"}}
    DummyServer.reset()
    yield Connection.objects.create(
        tenant=account,
        provider="dummy",
        name="PSA",
        site="dummy.example",
        credentials={"api_key": "k"},
        state="connected",
    )
    providers_close()


@pytest.fixture
def printer(account: Account) -> Flow:
    flow_create(account, title="VPN drops every hour", keywords=["vpn", "tunnel"])
    flow_create(account, title="Unpublished printer flow", keywords=["printer"], published=False)
    return flow_create(
        account,
        title="Printer does not print",
        keywords=["printer"],
        steps=[StepDraft("Restart the spooler")],
    )


TICKET = Ticket(
    "1001",
    RecordType.SERVICE,
    "Printer does not print",
    board=Ref("1", "Help Desk"),
    status=Status("11", "New"),
    company=Ref("50", "Acme Bakery"),
)


def tell(
    connection: Connection, *what: str, users: tuple[int, ...] = (), ticket: Ticket | None = TICKET
) -> None:
    ticket_changed.send(
        sender=None,
        connection=connection,
        ticket_id="1001",
        ticket=ticket,
        what=frozenset(what),
        user_ids=users,
        details=TicketDetails("The queue is full of old jobs"),
    )


def test_a_new_ticket_of_nobody_is_suggested_to_all(
    connection: Connection, printer: Flow, eva: User, ben: User
) -> None:
    tell(connection, "created")
    suggestion = Suggestion.objects.get()
    assert (suggestion.for_user, suggestion.state, suggestion.why) == (None, "new", "created")
    assert suggestion.best["flow"] == printer.pk
    assert suggestion.best["reasons"]
    for user in (eva, ben):
        assert [one.pk for one in selectors.suggestions_shown(scope_of(user))] == [suggestion.pk]


def test_an_assigned_ticket_is_suggested_to_its_engineer_alone(
    connection: Connection, printer: Flow, eva: User, ben: User
) -> None:
    tell(connection, "created")
    tell(connection, "assigned", users=(eva.pk,))
    mine = selectors.suggestions_shown(scope_of(eva)).get()
    assert (mine.for_user, mine.why) == (eva, "assigned")
    assert not selectors.suggestions_shown(scope_of(ben)).exists()
    assert Suggestion.objects.get(for_user=None).state == "gone"


def test_a_ticket_given_to_somebody_else_takes_its_suggestion_along(
    connection: Connection, printer: Flow, eva: User, ben: User
) -> None:
    tell(connection, "created", users=(eva.pk,))
    tell(connection, "assigned", users=(ben.pk,))
    assert not selectors.suggestions_shown(scope_of(eva)).exists()
    assert selectors.suggestions_shown(scope_of(ben)).get().for_user == ben
    # To somebody who is mapped to no user: then it is for all.
    tell(connection, "assigned")
    shared = selectors.suggestions_shown(scope_of(ben)).get()
    assert shared.for_user is None
    # And back: what she has not decided about is new to her again.
    tell(connection, "assigned", users=(eva.pk,))
    assert selectors.suggestions_shown(scope_of(eva)).get().state == "new"
    assert not selectors.suggestions_shown(scope_of(ben)).exists()


def test_an_update_of_nothing_that_matters_suggests_nothing(connection: Connection, printer: Flow) -> None:
    tell(connection)
    tell(connection, "reopened")
    assert not Suggestion.objects.exists()


def test_what_fits_nothing_suggests_nothing(connection: Connection, printer: Flow) -> None:
    tell(connection, "created", ticket=Ticket("1001", RecordType.SERVICE, "Lunch order"))
    assert not Suggestion.objects.exists()


@pytest.mark.parametrize(("what", "ticket"), [("closed", TICKET), ("gone", None)])
def test_a_ticket_that_ends_takes_its_suggestion_along(
    connection: Connection, printer: Flow, eva: User, what: str, ticket: Ticket | None
) -> None:
    tell(connection, "created", users=(eva.pk,))
    tell(connection, what, ticket=ticket)
    assert Suggestion.objects.get().state == "gone"
    assert not selectors.suggestions_shown(scope_of(eva)).exists()


def test_again_the_same_makes_no_second_one_and_no_new_mark(
    connection: Connection, printer: Flow, eva: User
) -> None:
    tell(connection, "created", users=(eva.pk,))
    services.suggestions_seen(scope_of(eva), [Suggestion.objects.get().pk])
    tell(connection, "assigned", users=(eva.pk,))
    assert Suggestion.objects.get().state == "seen"


def test_what_was_decided_stays_decided_unless_board_or_type_change(
    connection: Connection, printer: Flow, eva: User
) -> None:
    tell(connection, "created", users=(eva.pk,))
    services.suggestion_dismiss(scope_of(eva), Suggestion.objects.get().pk)
    tell(connection, "assigned", users=(eva.pk,))
    assert Suggestion.objects.get().state == "dismissed"
    tell(connection, "board", users=(eva.pk,))
    assert Suggestion.objects.get().state == "new"


def test_a_bulk_change_drops_what_nobody_has_seen(connection: Connection, printer: Flow, eva: User) -> None:
    began = timezone.now()
    tell(connection, "created", users=(eva.pk,))
    bulk_changed.send(sender=None, connection=connection, tickets=300, since=began)
    assert Suggestion.objects.get().state == "gone"
    Connection.objects.update(bulk_change={"at": began.isoformat(), "tickets": 300})
    [bulk] = selectors.bulk_changes(connection.tenant)
    assert (bulk["connection"].pk, bulk["tickets"]) == (connection.pk, 300)


# Deciding ---------------------------------------------------------------------------------------


def test_accepting_begins_a_linked_session_once(
    connection: Connection, printer: Flow, eva: User, ben: User
) -> None:
    tell(connection, "created", users=(eva.pk, ben.pk))
    mine = selectors.suggestions_shown(scope_of(eva)).get()
    session = services.suggestion_accept(scope_of(eva), mine.pk)
    assert (session.title, session.flow_id) == ("Printer does not print", printer.pk)
    assert session.link
    assert session.link.ticket_id == "1001"
    assert services.suggestion_accept(scope_of(eva), mine.pk).pk == session.pk
    assert FlowSession.objects.count() == 1
    mine.refresh_from_db()
    assert (mine.state, mine.decided_by_name) == ("accepted", "Eva Owens")
    with pytest.raises(ConflictError):
        services.suggestion_dismiss(scope_of(eva), mine.pk)


def test_when_the_psa_is_down_nothing_is_begun_and_it_can_be_accepted_later(
    connection: Connection, printer: Flow, eva: User
) -> None:
    tell(connection, "created", users=(eva.pk,))
    DummyServer.of(str(connection.pk)).fail_next("ticket_get", UnavailableError("The PSA is away."))
    one = Suggestion.objects.get()
    with pytest.raises(ProviderError):
        services.suggestion_accept(scope_of(eva), one.pk)
    assert not FlowSession.objects.exists()
    assert services.suggestion_accept(scope_of(eva), one.pk).link_id


def test_only_a_suggested_flow_can_be_chosen(connection: Connection, printer: Flow, eva: User) -> None:
    tell(connection, "created", users=(eva.pk,))
    with pytest.raises(Exception, match="not suggested"):
        services.suggestion_accept(scope_of(eva), Suggestion.objects.get().pk, flow_id=999_999)
    assert Suggestion.objects.get().state == "new"


def test_a_dismissal_can_be_taken_back(connection: Connection, printer: Flow, eva: User) -> None:
    tell(connection, "created", users=(eva.pk,))
    one = Suggestion.objects.get()
    services.suggestion_dismiss(scope_of(eva), one.pk)
    assert services.suggestion_dismiss(scope_of(eva), one.pk).state == "dismissed"
    assert services.suggestion_restore(scope_of(eva), one.pk).state == "seen"
    assert Suggestion.objects.get().chosen is None


def test_what_was_dismissed_and_accepted_feeds_the_ranking(
    connection: Connection, printer: Flow, eva: User
) -> None:
    before = selectors.flows_for(connection.tenant, TICKET, TicketDetails())[0].score
    tell(connection, "created", users=(eva.pk,))
    services.suggestion_dismiss(scope_of(eva), Suggestion.objects.get().pk)
    after = selectors.flows_for(connection.tenant, TICKET, TicketDetails())[0].score
    assert after < before
    services.suggestion_restore(scope_of(eva), Suggestion.objects.get().pk)
    services.suggestion_accept(scope_of(eva), Suggestion.objects.get().pk)
    [top, *_] = selectors.flows_for(connection.tenant, TICKET, TicketDetails())
    assert "It solved a similar ticket." in top.reasons


def test_another_engineers_suggestion_is_missing_but_not_for_a_lead(
    connection: Connection, printer: Flow, eva: User, ben: User
) -> None:
    tell(connection, "created", users=(eva.pk,))
    one = Suggestion.objects.get()
    with pytest.raises(MissingError):
        services.suggestion_dismiss(scope_of(ben), one.pk)
    assert services.suggestion_dismiss(scope_of(ben, leads=True), one.pk).state == "dismissed"
    other = Account.objects.create(name="Other", slug="other")
    stranger = user_create(other, username="otto", password="x", role=Role.ADMIN)
    with pytest.raises(MissingError):
        services.suggestion_restore(scope_of(stranger, leads=True), one.pk)


def test_the_ranking_costs_the_same_queries_whatever_there_is(
    connection: Connection, printer: Flow, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(5):
        selectors.flows_for(connection.tenant, TICKET, TicketDetails())
    for number in range(20):
        flow_create(connection.tenant, title=f"Printer {number}", steps=[StepDraft("a"), StepDraft("b")])
    with django_assert_num_queries(5):
        selectors.flows_for(connection.tenant, TICKET, TicketDetails())


# REST -------------------------------------------------------------------------------------------


@pytest.fixture
def api(eva: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(eva)
    return client


def test_rest_lists_accepts_and_dismisses(
    api: APIClient, connection: Connection, printer: Flow, eva: User
) -> None:
    tell(connection, "created", users=(eva.pk,))
    [row] = api.get("/api/v1/suggestions/").json()["results"]
    assert (row["ticket_id"], row["state"], row["for_user"]) == ("1001", "new", eva.pk)
    assert row["flows"][0]["title"] == "Printer does not print"
    url = f"/api/v1/suggestions/{row['id']}/"
    assert api.post(f"{url}dismiss/").json()["state"] == "dismissed"
    assert api.get("/api/v1/suggestions/").json()["count"] == 0
    assert api.get("/api/v1/suggestions/?state=dismissed").json()["count"] == 1
    assert api.get("/api/v1/suggestions/?state=x").status_code == 422
    assert api.post(f"{url}restore/").json()["state"] == "seen"
    answer = api.post(f"{url}accept/", {"flow": printer.pk}, format="json")
    assert answer.status_code == 201
    assert answer.json()["ticket"]["ticket_id"] == "1001"
    refused = api.post(f"{url}dismiss/")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (409, "suggestion-decided")


def test_rest_ranks_for_a_session(api: APIClient, connection: Connection, printer: Flow, eva: User) -> None:
    tell(connection, "created", users=(eva.pk,))
    session = services.suggestion_accept(scope_of(eva), Suggestion.objects.get().pk)
    [row, *_] = api.get(f"/api/v1/sessions/{session.pk}/suggestions/").json()
    assert (row["flow"], row["title"]) == (printer.pk, printer.title)
    assert row["reasons"]
    bare = FlowSession.objects.create(account=connection.tenant, title="x")
    assert api.get(f"/api/v1/sessions/{bare.pk}/suggestions/").status_code == 409
