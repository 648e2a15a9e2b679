"""Owns what pages know of a PSA product: its name, its credential form, the rows of its security role."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psa import selectors
from psa.exceptions import MissingError
from psa.types import CredentialField, RoleNeed, RoleRow


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """One PSA product, as forms and pages need it."""

    key: str
    label: str
    site_example: str
    account_field: str
    fields: tuple[CredentialField, ...]
    role_needs: tuple[RoleNeed, ...]
    role_recipe: tuple[RoleRow, ...]
    site_of: Callable[[str], str]
    """Cuts a pasted address to what is stored. Raises: ValueError with a sentence."""

    @property
    def secret_names(self) -> frozenset[str]:
        """Names of the credentials that are never shown again."""
        return frozenset(entry.name for entry in self.fields if entry.secret)

    def templates(self, name: str) -> tuple[str, str]:
        """Return where the product's own words stand, and what is shown where it has none."""
        return f"integrations_ui/providers/{self.key}/{name}", f"integrations_ui/providers/{name}"


def provider_infos() -> list[ProviderInfo]:
    """Return the products that can be connected, in the order of the setting."""
    return [
        ProviderInfo(
            key=cls.key,
            label=cls.label,
            site_example=cls.site_example,
            account_field=cls.account_field,
            fields=cls.credential_schema,
            role_needs=cls.role_needs,
            role_recipe=tuple(cls.role_recipe()),
            site_of=_site_of(cls.site_clean, cls.site_identity),
        )
        for cls in selectors.provider_classes()
    ]


def provider_info(key: str) -> ProviderInfo:
    """Return one product. Raises: MissingError, also for one that was taken out of the settings."""
    for found in provider_infos():
        if found.key == key:
            return found
    raise MissingError("There is no such PSA product here.")


def _site_of(clean: Callable[[str], str], identity: Callable[[str], str]) -> Callable[[str], str]:
    return lambda pasted: identity(clean(pasted))


def provider_labels() -> dict[str, str]:
    """Return the names of the products by key."""
    return {provider.key: provider.label for provider in provider_infos()}
