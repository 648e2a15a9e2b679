"""Owns the forms of signing in, passwords and the second factor: allauth's, with our words.

A label says what to type, not a placeholder. The settings ACCOUNT_FORMS and MFA_FORMS name them.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from allauth.account import forms as account
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as mfa
from allauth.mfa.totp import forms as totp
from django.core.cache import cache

from resolutionflow.accounts.models import User

_CODE_LIFE_S = 90
"""The step of 30 seconds a code belongs to, and one on either side."""
_CODE_HELP = "Six digits from the app on your phone, or one of your recovery codes."


class _Words:
    """Gives a form our labels and hints, by field."""

    labels: ClassVar[dict[str, str]] = {}
    hints: ClassVar[dict[str, str]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields  # type: ignore[attr-defined]
        for name, field in fields.items():
            field.label = self.labels.get(name, field.label)
            field.help_text = self.hints.get(name, field.help_text)
            field.widget.attrs.pop("placeholder", None)
            if name == "code":
                field.widget.attrs |= {"inputmode": "numeric", "autocomplete": "one-time-code"}


class LoginForm(_Words, account.LoginForm):
    """Signs in by user name or e-mail."""

    labels: ClassVar = {"login": "User name or e-mail"}
    hints: ClassVar = {"password": ""}


class ReauthenticateForm(_Words, account.ReauthenticateForm):
    """Asks for the password once more."""

    hints: ClassVar = {"password": ""}


class ChangePasswordForm(_Words, account.ChangePasswordForm):
    """Changes the password of whoever knows the old one."""

    labels: ClassVar = {
        "oldpassword": "Current password",
        "password1": "New password",
        "password2": "New password again",
    }
    hints: ClassVar = {"oldpassword": ""}


class ResetPasswordForm(_Words, account.ResetPasswordForm):
    """Asks which address to mail a link to. Whether anybody has it is not said."""

    labels: ClassVar = {"email": "E-mail"}

    def clean_email(self) -> str:
        """Find the users by the one address we keep: allauth's own table may hold an older one."""
        email: str = self.cleaned_data["email"]
        self.users = list(User.objects.filter(email__iexact=email, is_active=True))
        return email


class ResetPasswordKeyForm(_Words, account.ResetPasswordKeyForm):
    """Chooses a new password by the link of a mail."""

    labels: ClassVar = {"password1": "New password", "password2": "New password again"}


class ActivateForm(_Words, totp.ActivateTOTPForm):
    """Proves that the app shows the right codes."""

    labels: ClassVar = {"code": "Code"}
    hints: ClassVar = {"code": "Six digits, new every 30 seconds."}


class _OneTimeCode(_Words):
    """Takes a code once. allauth forgets after 30 seconds, but MFA_TOTP_TOLERANCE lets it live longer."""

    hints: ClassVar = {"code": _CODE_HELP}

    def clean_code(self) -> str:
        """Return the code. Raises: ValidationError, when it is wrong or was used before."""
        code: str = super().clean_code()  # type: ignore[misc]
        key = f"accounts:code:{self.user.pk}:{re.sub(r'[^0-9]', '', code)}"  # type: ignore[attr-defined]
        if not cache.add(key, "", _CODE_LIFE_S):
            raise get_adapter().validation_error("incorrect_code")
        return code


class CodeForm(_OneTimeCode, mfa.AuthenticateForm):
    """Asks for a code after the password."""


class CodeAgainForm(_OneTimeCode, mfa.ReauthenticateForm):
    """Asks for a code once more."""
