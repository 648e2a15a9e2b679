"""Owns invitations: a user without a password, and the signed link by which they choose one.

The link is good for INVITATION_MAX_AGE and until a password is set. It is signed over the user's password
and address, so whatever changes one of them ends it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core import signing
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.forms import ValidationError
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.exceptions import ConflictError, InvalidInputError, PsaError, ServiceError
from psa.types import Actor, Member
from resolutionflow.accounts.models import Account, Membership, Role, User
from resolutionflow.accounts.services import membership_set

log = logging.getLogger(__name__)

INVITATION_MAX_AGE = timedelta(days=7)
"""A week: an invitation sent on a Friday is still good on Monday."""

_SALT = "resolutionflow.accounts.invitations"


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that was made."""

    user: User
    link: str
    """What the person opens; whoever has it can become them, so it is shown to admins only."""
    mailed: bool
    """False when the mail could not be sent: hand the link over by another way."""


@dataclass(frozen=True, slots=True)
class NotInvited:
    """A member who could not be invited, and why."""

    member_id: str
    name: str
    reason: str
    """Full sentence."""


def member_invite(
    account: Account,
    member: Member,
    *,
    actor: Actor,
    connection_id: int,
    role: Role = Role.ENGINEER,
    base_url: str = "",
) -> Invitation:
    """Make a user of a PSA member, map them, and mail them a link to choose a password.

    Shape: member as `psa.selectors.members` has it; base_url is the address of the site where PSA_BASE_URL
        is not set: `https://psa.example.com`.
    Raises: InvalidInputError (no usable address); ConflictError `user-exists`, `member-taken`;
        as `psa.services.member_mappings_set`.
    """
    email = _address_of(account, connection_id, member)
    try:
        user = _user_make(account, member, email, role)
    except IntegrityError as exc:
        raise _exists(email) from exc
    try:
        psa_services.member_mappings_set(
            account, connection_id, {user.pk: member.id}, actor=actor, how="invited"
        )
    except PsaError:
        # No transaction around both: choosing a member may ask the PSA.
        user.delete()
        raise
    return invitation_send(user, actor=actor, base_url=base_url)


def members_invite(
    account: Account,
    connection_id: int,
    member_ids: Sequence[str],
    *,
    actor: Actor,
    role: Role = Role.ENGINEER,
    base_url: str = "",
) -> tuple[list[Invitation], list[NotInvited]]:
    """Invite several members; one who cannot be invited does not keep the others.

    Raises: MissingError; ConflictError `connection-disabled`; ProviderError, when the members cannot be read.
    """
    known = {member.id: member for member in psa_selectors.members(account, connection_id)}
    made, left = list[Invitation](), list[NotInvited]()
    for member_id in dict.fromkeys(member_ids):
        member = known.get(member_id)
        if member is None:
            left.append(NotInvited(member_id, member_id, "The PSA has no such member any more."))
            continue
        try:
            made.append(
                member_invite(
                    account, member, actor=actor, connection_id=connection_id, role=role, base_url=base_url
                )
            )
        except ServiceError as exc:
            sentences = [sentence for found in exc.fields.values() for sentence in found]
            left.append(NotInvited(member_id, member.name, sentences[0] if sentences else exc.message))
    return made, left


def invitation_send(user: User, *, actor: Actor, base_url: str = "") -> Invitation:
    """Mail a user without a password the link by which they choose one; earlier links stay good.

    Raises: ConflictError `has-password`, `user-inactive`; InvalidInputError (no address).
    """
    if not user.is_active:
        raise ConflictError(f"{user.display_name} is switched off.", code="user-inactive")
    if user.has_usable_password():
        raise ConflictError(f"{user.display_name} has a password already.", code="has-password")
    if not user.email:
        raise InvalidInputError(f"{user.display_name} has no e-mail address.", fields={"email": ["Missing."]})
    link = invitation_link(user, base_url)
    account = Membership.objects.get(user=user).account
    text = render_to_string(
        "accounts/invitation_mail.txt",
        {
            "name": user.first_name or user.display_name,
            "account": account,
            "actor": actor.name,
            "link": link,
            "days": INVITATION_MAX_AGE.days,
            "username": user.username,
        },
    )
    subject = " ".join(f"{account.name} invites you to ResolutionFlow".split())
    try:
        send_mail(subject, text, None, [user.email])
    except (SMTPException, OSError) as exc:
        log.warning("the invitation of user %s could not be mailed: %s", user.pk, exc)
        return Invitation(user, link, mailed=False)
    return Invitation(user, link, mailed=True)


def invitation_link(user: User, base_url: str = "") -> str:
    """Return the address where a user chooses their first password."""
    place = {
        "uidb64": urlsafe_base64_encode(force_bytes(user.pk)),
        "token": signing.dumps(_state(user), salt=_SALT),
    }
    base = settings.PSA_BASE_URL or base_url.rstrip("/")
    return base + reverse("accounts:invitation", kwargs=place)


def invitation_user(uidb64: str, token: str) -> User | None:
    """Return the user an invitation is for, None when the link is wrong, too old, or was used."""
    try:
        pk = int(urlsafe_base64_decode(uidb64).decode("ascii"))
        state = signing.loads(token, salt=_SALT, max_age=INVITATION_MAX_AGE)
    except (ValueError, signing.BadSignature):
        return None
    if not 0 < pk < 2**63:
        return None
    user = User.objects.filter(pk=pk, is_active=True).first()
    if user is None or user.has_usable_password() or state != _state(user):
        return None
    return user


def invitation_accept(user: User, password: str) -> bool:
    """Set the password of an invited user; False when another tab was faster.

    The caller has checked the link by `invitation_user` and the password by Django's validators.
    """
    changed = User.objects.filter(pk=user.pk, is_active=True, password=user.password).update(
        password=make_password(password)
    )
    if changed:
        user.refresh_from_db(fields=["password"])
    return bool(changed)


def _state(user: User) -> str:
    """Return what must not change between making a link and using it."""
    return salted_hmac(_SALT, f"{user.pk}:{user.password}:{user.email}", algorithm="sha256").hexdigest()[:32]


def _address_of(account: Account, connection_id: int, member: Member) -> str:
    """Return the address a member is invited at, which must be theirs alone."""

    def refused(sentence: str) -> InvalidInputError:
        return InvalidInputError(sentence, fields={"email": [sentence]})

    if not member.emails:
        raise refused(f"The PSA knows no e-mail address of {member.name}.")
    email = member.emails[0]
    try:
        validate_email(email)
    except ValidationError as exc:
        raise refused(f"{email} is no address mail can be sent to.") from exc
    others = psa_selectors.members(account, connection_id)
    if any(
        other.id != member.id and email in other.emails and other.active and not other.is_api
        for other in others
    ):
        raise refused(f"{email} is shared by several members: whoever reads it could become {member.name}.")
    if User.objects.filter(email__iexact=email).exists():
        raise _exists(email)
    return email


@transaction.atomic
def _user_make(account: Account, member: Member, email: str, role: Role) -> User:
    words = member.name.split()
    first, last = (" ".join(words[:-1]), words[-1]) if len(words) > 1 else (" ".join(words), "")
    user = User.objects.create_user(
        _username_of(email), email, None, first_name=first[:150], last_name=last[:150]
    )
    membership_set(user, account, role)
    return user


def _username_of(email: str) -> str:
    """Return the address as a user name: it is unique, and people can sign in with either."""
    name = re.sub(r"[^\w.@+-]", "-", email.lower())[:140]
    taken = set(User.objects.filter(username__startswith=name).values_list("username", flat=True))
    return next(
        candidate
        for candidate in (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
        if candidate not in taken
    )


def _exists(who: str) -> ConflictError:
    return ConflictError(f"There is a user with the address of {who} already.", code="user-exists")
