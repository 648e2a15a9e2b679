"""Invitations: who can be invited, what the mail says, and when a link is good."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.test import Client

from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.exceptions import ConflictError, InvalidInputError, UnavailableError
from psa.provider_pool import providers_close
from psa.providers.dummy.server import DummyServer
from psa.types import Actor, Member
from resolutionflow.accounts import invitations
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create, user_deactivate, user_reactivate

Connection = Any


@pytest.fixture(autouse=True)
def dummy(settings: Any) -> Iterator[None]:
    settings.PSA = {**settings.PSA, "PROVIDERS": {"dummy": "psa.providers.dummy.provider.DummyProvider"}}
    settings.PSA_BASE_URL = "https://psa.example.com"
    DummyServer.reset()
    yield
    providers_close()


@pytest.fixture
def connection(account: Account, actor: Actor) -> Connection:
    return psa_services.connection_create(
        account,
        actor=actor,
        provider="dummy",
        name="Dummy",
        site="dummy.example",
        credentials={"api_key": "x"},
    )


@pytest.fixture
def psa(connection: Connection) -> DummyServer:
    return DummyServer.of(str(connection.pk))


@pytest.fixture
def actor(owner: User) -> Actor:
    return Actor(owner.pk, "Olga Owner")


def invite(account: Account, connection: Connection, member_id: str, actor: Actor) -> invitations.Invitation:
    members = {row.id: row for row in psa_selectors.members(account, connection.pk)}
    return invitations.member_invite(account, members[member_id], actor=actor, connection_id=connection.pk)


def parts(link: str) -> tuple[str, str]:
    uidb64, token = link.removeprefix("https://psa.example.com/accounts/invitation/").split("/")[:2]
    return uidb64, token


@pytest.fixture
def invited(account: Account, connection: Connection, actor: Actor) -> invitations.Invitation:
    return invite(account, connection, "8", actor)


# making -----------------------------------------------------------------------------------------


def test_a_member_becomes_a_user_without_a_password(
    invited: invitations.Invitation, account: Account
) -> None:
    user = User.objects.get(email="ben@msp.example")
    assert invited.user == user
    assert (user.display_name, user.username) == ("Ben Boyd", "ben@msp.example")
    assert (user.is_active, user.has_usable_password(), user.is_staff) == (True, False, False)
    assert (user.membership.account, user.membership.role) == (account, Role.ENGINEER)


def test_the_user_is_mapped_to_the_member(invited: invitations.Invitation, connection: Connection) -> None:
    mapping = apps.get_model("psa.MemberMapping").objects.get()
    assert (mapping.user, mapping.member_id, mapping.how) == (invited.user, "8", "invited")
    assert (mapping.connection, mapping.active) == (connection, True)


def test_the_link_is_mailed_to_the_members_address(
    invited: invitations.Invitation, mailoutbox: list[Any]
) -> None:
    (mail,) = mailoutbox
    assert (mail.to, invited.mailed) == (["ben@msp.example"], True)
    assert mail.subject == "Northwind IT invites you to ResolutionFlow"
    assert invited.link in mail.body
    assert "Olga Owner invites you" in mail.body
    assert "&" not in mail.body


def test_a_mail_that_cannot_be_sent_leaves_the_link(
    account: Account, connection: Connection, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any) -> None:
        raise SMTPServerDisconnected("gone")

    monkeypatch.setattr(invitations, "send_mail", fail)
    made = invite(account, connection, "8", actor)
    assert (made.mailed, invitations.invitation_user(*parts(made.link))) == (False, made.user)


def test_a_role_is_given(account: Account, connection: Connection, actor: Actor) -> None:
    member = Member("8", "ben", "Ben Boyd", ("ben@msp.example",))
    made = invitations.member_invite(
        account, member, actor=actor, connection_id=connection.pk, role=Role.LEAD
    )
    assert made.user.membership.role == Role.LEAD


def test_the_sites_own_address_goes_before_the_one_of_the_request(
    account: Account, connection: Connection, actor: Actor, settings: Any
) -> None:
    user = invite(account, connection, "8", actor).user
    given = "http://elsewhere.example/"
    assert invitations.invitation_link(user, given).startswith("https://psa.example.com/accounts/")
    settings.PSA_BASE_URL = ""
    assert invitations.invitation_link(user, given).startswith("http://elsewhere.example/accounts/")


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        (Member("8", "ben", "Ben Boyd"), "no e-mail address of Ben Boyd"),
        (Member("8", "ben", "Ben Boyd", ("ben@",)), "no address mail can be sent to"),
        (Member("8", "ben", "Ben Boyd", ("ann@msp.example",)), "shared by several members"),
    ],
)
def test_without_an_address_of_their_own_nobody_is_invited(
    account: Account, connection: Connection, actor: Actor, member: Member, sentence: str
) -> None:
    with pytest.raises(InvalidInputError, match=sentence):
        invitations.member_invite(account, member, actor=actor, connection_id=connection.pk)
    assert User.objects.count() == 1


def test_who_has_the_address_already_is_not_invited_again(
    account: Account, connection: Connection, actor: Actor
) -> None:
    user_create(account, username="ben", password="x", email="BEN@msp.example")
    with pytest.raises(ConflictError) as caught:
        invite(account, connection, "8", actor)
    assert caught.value.code == "user-exists"


def test_a_member_somebody_is_mapped_to_is_not_invited(
    account: Account, connection: Connection, actor: Actor, member: User
) -> None:
    psa_services.member_mappings_set(account, connection.pk, {member.pk: "8"}, actor=actor)
    with pytest.raises(ConflictError, match="Mia Stone"):
        invite(account, connection, "8", actor)
    assert not User.objects.filter(email="ben@msp.example").exists()


@pytest.mark.parametrize(
    ("email", "username"),
    [("Ben@MSP.example", "ben@msp.example-2"), ("o'hara!@msp.example", "o-hara-@msp.example")],
)
def test_a_user_name_is_made_that_is_valid_and_free(
    account: Account, connection: Connection, actor: Actor, email: str, username: str
) -> None:
    user_create(account, username="ben@msp.example", password="x")
    member = Member("8", "ben", "Ben Boyd", (email,))
    made = invitations.member_invite(account, member, actor=actor, connection_id=connection.pk)
    assert made.user.username == username


def test_several_are_invited_and_each_refusal_has_its_reason(
    account: Account, connection: Connection, actor: Actor, psa: DummyServer, mailoutbox: list[Any]
) -> None:
    psa.members["18"] = Member("18", "nomail", "No Mail")
    made, left = invitations.members_invite(
        account, connection.pk, ["8", "18", "9", "90", "77", "7", "8"], actor=actor
    )
    assert [row.user.email for row in made] == ["ben@msp.example", "ann@msp.example"]
    assert [(row.name, row.reason) for row in left] == [
        ("No Mail", "The PSA knows no e-mail address of No Mail."),
        ("Zoe Zander", "Zoe Zander is switched off in the PSA."),
        ("Dummy API member", "The PSA knows no e-mail address of Dummy API member."),
        ("77", "The PSA has no such member any more."),
    ]
    assert (len(mailoutbox), User.objects.filter(email="zoe@msp.example").exists()) == (2, False)


def test_a_psa_that_is_down_invites_nobody(
    account: Account, connection: Connection, actor: Actor, psa: DummyServer
) -> None:
    psa.fail_next("members", UnavailableError("Down."))
    with pytest.raises(UnavailableError):
        invitations.members_invite(account, connection.pk, ["8"], actor=actor)
    assert User.objects.count() == 1


# the link ---------------------------------------------------------------------------------------


def test_a_link_leads_to_its_user(invited: invitations.Invitation) -> None:
    assert invitations.invitation_user(*parts(invited.link)) == invited.user


def test_a_link_is_good_for_a_week(invited: invitations.Invitation) -> None:
    uidb64, token = parts(invited.link)
    now = invited.user.date_joined
    with time_machine.travel(now + timedelta(days=6, hours=23)):
        assert invitations.invitation_user(uidb64, token) == invited.user
    with time_machine.travel(now + timedelta(days=7, minutes=1)):
        assert invitations.invitation_user(uidb64, token) is None


def test_a_link_is_good_once(invited: invitations.Invitation) -> None:
    assert invitations.invitation_accept(invited.user, "correct horse battery")
    assert invitations.invitation_user(*parts(invited.link)) is None
    assert Client().login(username="ben@msp.example", password="correct horse battery")


def test_the_second_of_two_tabs_changes_nothing(invited: invitations.Invitation) -> None:
    other_tab = invitations.invitation_user(*parts(invited.link))
    assert other_tab is not None
    assert invitations.invitation_accept(invited.user, "correct horse battery")
    assert not invitations.invitation_accept(other_tab, "another horse battery")
    other_tab.refresh_from_db()
    assert other_tab.check_password("correct horse battery")


def test_a_link_ends_when_the_address_changes(invited: invitations.Invitation) -> None:
    User.objects.filter(pk=invited.user.pk).update(email="other@msp.example")
    assert invitations.invitation_user(*parts(invited.link)) is None


def test_a_link_ends_with_the_person_and_does_not_come_back_with_them(
    invited: invitations.Invitation, account: Account, actor: Actor
) -> None:
    user_deactivate(account, invited.user.pk, actor=actor)
    assert invitations.invitation_user(*parts(invited.link)) is None
    user_reactivate(account, invited.user.pk)
    assert invitations.invitation_user(*parts(invited.link)) is None


@pytest.mark.parametrize(
    ("uidb64", "token"),
    [("", ""), ("!!!", "x"), ("MQ", "x:y:z"), ("w6Q", "x"), ("OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", None)],
)
def test_a_broken_link_leads_to_nobody(
    invited: invitations.Invitation, uidb64: str, token: str | None
) -> None:
    assert invitations.invitation_user(uidb64, token or parts(invited.link)[1]) is None


def test_one_persons_token_is_not_anothers(
    account: Account, connection: Connection, actor: Actor, invited: invitations.Invitation
) -> None:
    other = invite(account, connection, "7", actor)
    assert invitations.invitation_user(parts(other.link)[0], parts(invited.link)[1]) is None


def test_a_user_with_a_password_gets_no_link(owner: User, member: User, actor: Actor) -> None:
    with pytest.raises(ConflictError) as caught:
        invitations.invitation_send(member, actor=actor)
    assert caught.value.code == "has-password"


def test_who_was_switched_on_again_gets_a_new_link(
    account: Account, actor: Actor, invited: invitations.Invitation, mailoutbox: list[Any]
) -> None:
    user_deactivate(account, invited.user.pk, actor=actor)
    user = User.objects.get(pk=invited.user.pk)
    with pytest.raises(ConflictError):
        invitations.invitation_send(user, actor=actor)
    again = invitations.invitation_send(user_reactivate(account, user.pk), actor=actor)
    assert invitations.invitation_user(*parts(again.link)) == user
    assert len(mailoutbox) == 2
