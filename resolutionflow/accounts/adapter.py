"""Owns where we differ from allauth: nobody signs up, and what happens around a forgotten password."""

from __future__ import annotations

import logging
from smtplib import SMTPException
from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest
from django.urls import reverse

from resolutionflow.accounts.models import User

log = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by an admin."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False: sign-up is closed."""
        return False

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Return the page of one's own account."""
        return reverse("account_index")

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link of the mail, at the public address where one is set."""
        uid, _, token = key.partition("-")
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": token})
        base: str = settings.PSA_BASE_URL or self.request.build_absolute_uri("/").rstrip("/")
        return base + path

    def send_password_reset_mail(self, user: AbstractBaseUser, email: str, context: dict[str, Any]) -> None:
        """Mail the link to the address we know, never to the one typed: it may only look the same.

        Whoever never chose a password is told to ask for an invitation; a reset would outlive that one.
        """
        found = cast("User", user)
        what = "password_reset_key" if found.has_usable_password() else "password_missing"
        context |= {"name": found.first_name or found.display_name}
        self.send_mail(f"account/email/{what}", found.email, context)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail. A mail server that is away is logged: an error page would tell who has an account."""
        try:
            super().send_mail(template_prefix, email, context)
        except (SMTPException, OSError) as exc:
            log.warning("%s could not be mailed: %s", template_prefix, exc)
