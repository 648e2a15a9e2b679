"""Owns the Django app config of `accounts`."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Tenants, people, roles and API tokens."""

    name = "resolutionflow.accounts"
    label = "accounts"
    verbose_name = "Accounts"
