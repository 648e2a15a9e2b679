"""Owns Django admin of people, second factors and tokens. Superusers see all, an admin their account."""

from resolutionflow.accounts.admin import access, people  # noqa: F401  they register themselves
