"""Owns who acts: a person, and what a request may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Tenant = Any
"""An object of the host's `PSA_TENANT_MODEL`; its class is the host's own business."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: the user's id (None for the system) and the name that is stored beside it."""

    user_id: int | None
    name: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may post, as the host's `PSA["PEOPLE"]` function lists them."""

    id: int
    """The user's id."""
    name: str
    email: str = ""
    active: bool = True


@dataclass(frozen=True, slots=True)
class Scope:
    """What a request may do, as the host's `PSA["SCOPE"]` function found it."""

    tenant: Any
    actor: Actor
    can_manage: bool = False
    """True for an MSP admin: connections, callbacks."""
    can_lead: bool = False
    """True for an admin or lead: members, status rules, everyone's deliveries."""
    can_post: bool = False
    """True for everyone who works on tickets."""
