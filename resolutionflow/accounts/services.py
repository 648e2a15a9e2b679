"""Owns writes to accounts: people, memberships, API tokens. Invitations are in `accounts.invitations`."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.exceptions import ConflictError, MissingError
from psa.types import Actor
from resolutionflow.accounts.models import Account, ApiToken, Membership, Role, User

PREFIX_BYTES = 4
"""8 hex digits: enough to find a token's row, far too few to guess its secret."""
SECRET_BYTES = 32
"""256 random bits."""
LAST_USED_STEP = timedelta(minutes=1)
"""`last_used_at` is written at most this often, so that a busy client does not write a row a request."""

_KEY = re.compile(r"rf_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token at the only moment its key is known."""

    token: ApiToken
    key: str
    """What goes behind `Authorization: Token `. It cannot be shown again."""


def token_create(user: User, *, name: str, expires_at: datetime | None = None) -> NewToken:
    """Make a token that acts as the user and return it with its key."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    token = ApiToken.objects.create(
        user=user,
        name=name,
        prefix=secrets.token_hex(PREFIX_BYTES),
        digest=token_digest(secret),
        expires_at=expires_at,
    )
    return NewToken(token, f"rf_{token.prefix}_{secret}")


def token_revoke(token: ApiToken) -> None:
    """Close a token for good. Closing it twice changes nothing."""
    now = timezone.now()
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
        token.revoked_at = now


def token_touch(token: ApiToken) -> None:
    """Note that a token was used, at most once in LAST_USED_STEP."""
    now = timezone.now()
    due = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_STEP)
    if token.last_used_at is None or token.last_used_at < now - LAST_USED_STEP:
        ApiToken.objects.filter(due, pk=token.pk).update(last_used_at=now)


def token_split(key: str) -> tuple[str, str] | None:
    """Return prefix and secret of a key, or None when it does not look like one of ours."""
    match = _KEY.fullmatch(key)
    return (match[1], match[2]) if match else None


def token_digest(secret: str) -> str:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def user_create(
    account: Account,
    *,
    username: str,
    password: str,
    role: Role = Role.ENGINEER,
    email: str = "",
    first_name: str = "",
    last_name: str = "",
    time_zone: str = "UTC",
) -> User:
    """Make a person who works in an account. Its admins may also open Django's admin.

    Raises: IntegrityError, when the user name is taken.
    """
    user = User.objects.create_user(
        username,
        email,
        password,
        first_name=first_name,
        last_name=last_name,
        time_zone=time_zone,
        is_staff=role is Role.ADMIN,
    )
    membership_set(user, account, role)
    return user


@transaction.atomic
def membership_set(user: User, account: Account, role: Role) -> Membership:
    """Let a user work in an account with a role; whoever becomes admin there may open Django's admin."""
    membership, _ = Membership.objects.update_or_create(
        user=user, defaults={"account": account, "role": role}
    )
    is_staff = user.is_superuser or role == Role.ADMIN
    if user.is_staff != is_staff:
        user.is_staff = is_staff
        user.save(update_fields=["is_staff"])
    return membership


@dataclass(frozen=True, slots=True)
class Deactivation:
    """What went with a person who was switched off, and what is left to do."""

    user: User
    tokens: int
    """API tokens that were revoked."""
    mappings: tuple[Any, ...]
    """`psa.MemberMapping` rows that ended."""
    deliveries: QuerySet[Any]
    """`psa.Delivery` rows of theirs that are open or dead: `psa.services.deliveries_hand_over` takes them."""


def user_deactivate(account: Account | None, user_id: int, *, actor: Actor) -> Deactivation:
    """Switch a person off: sessions, tokens, mappings and password end, what they posted goes on.

    Each of these ends for good. Who is switched on again has no password, no token and no mapping.
    Without an account it is somebody who works in none, such as a superuser.
    Raises: MissingError; ConflictError `own-user`, `last-admin`.
    """
    with transaction.atomic():
        user = _colleague(account, user_id)
        if user.pk == actor.user_id:
            raise ConflictError("You cannot switch yourself off. Ask another admin.", code="own-user")
        if account is not None and user.membership.role == Role.ADMIN:
            admins = Membership.objects.filter(account=account, role=Role.ADMIN)
            # All of them are locked, then it is seen who is active: so two admins who switch each other off
            # wait for one another, and do not leave the account without one.
            list(admins.select_for_update(of=("self",)).order_by("pk").values_list("pk"))
            if not admins.filter(user__is_active=True).exclude(user=user).exists():
                raise ConflictError(
                    "An account needs an admin. Make somebody else one first.", code="last-admin"
                )
        user.is_active = False
        # Sessions, reset links and invitations are signed over the password: all of them end with it.
        user.set_unusable_password()
        user.save(update_fields=["is_active", "password"])
        tokens = ApiToken.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())
        mappings = psa_services.member_mappings_close(
            account, user.pk, actor=actor, reason=f"{user.display_name} was switched off."
        )
    deliveries = psa_selectors.deliveries_to_hand_over(account, user.pk)
    return Deactivation(user, tokens, tuple(mappings), deliveries)


def user_reactivate(account: Account | None, user_id: int) -> User:
    """Switch a person on again, and nothing else: they need a new password, a mapping and tokens.

    `invitations.invitation_send` mails them a link to choose a password.
    Raises: MissingError.
    """
    user = _colleague(account, user_id)
    user.is_active = True
    user.save(update_fields=["is_active"])
    return user


def _colleague(account: Account | None, user_id: int) -> User:
    found = User.objects.filter(membership__account=account, pk=user_id).select_related("membership").first()
    if found is None:
        raise MissingError("There is no such person in your account.")
    return found
