"""Owns the form a connection is made and changed with, drawn from the provider's credential schema.

A stored secret is never in it: a blank field keeps what is stored, a tick beside it removes what is optional.
What a service refuses goes to its field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from integrations_ui.providers import ProviderInfo
from psa.exceptions import Fields
from psa.types import CredentialField

SITE_HELP = (
    "The address in your browser when you work in {label}. Paste the whole of it if you like: "
    "everything but the host is cut off."
)
REMOVE = "remove_"
"""Begins the name of the box that removes an optional credential: `remove_client_id`."""
PREFIX = "credentials."
"""Services name the fields of credentials so: `credentials.public_key`."""


class CredentialForm(forms.Form):
    """Name, address and credentials, or some of them.

    Shape: cleaned_data has `name` and `site` where asked for; credentials come by `credentials()`.
    """

    def __init__(
        self,
        provider: ProviderInfo,
        *args: Any,
        asks_name: bool = True,
        asks_site: bool = True,
        leaves_out: Iterable[str] = (),
        blank_keeps: bool = False,
        stored: Iterable[str] = (),
        **kwargs: Any,
    ) -> None:
        """blank_keeps: nothing has to be entered. stored: names of credentials there are already."""
        super().__init__(*args, **kwargs)
        self.provider = provider
        self.blank_keeps = blank_keeps
        self.asked = [entry for entry in provider.fields if entry.name not in set(leaves_out)]
        if asks_name:
            self.fields["name"] = forms.CharField(
                label="Name",
                help_text="How your people will find it in lists, for example Main ConnectWise.",
                widget=forms.TextInput(attrs={"autocomplete": "off"}),
            )
        if asks_site:
            self.fields["site"] = forms.CharField(
                label="Address",
                help_text=SITE_HELP.format(label=provider.label),
                widget=forms.TextInput(
                    attrs={
                        "placeholder": provider.site_example,
                        "autocomplete": "off",
                        "autocapitalize": "none",
                        "spellcheck": "false",
                        "inputmode": "url",
                    }
                ),
            )
        for entry in self.asked:
            removable = not entry.required and entry.name in set(stored)
            self.fields[entry.name] = _field(entry, blank_keeps=blank_keeps, removable=removable)
            if removable:
                self.fields[REMOVE + entry.name] = forms.BooleanField(
                    required=False, label=f"Remove the stored {entry.label}"
                )

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        """Fields that everyone needs, in order."""
        tucked = {entry.name for entry in self.asked if entry.advanced}
        return [self[name] for name in self.fields if name.removeprefix(REMOVE) not in tucked]

    @property
    def advanced_fields(self) -> list[forms.BoundField]:
        """Fields that few people need."""
        tucked = {entry.name for entry in self.asked if entry.advanced}
        return [self[name] for name in self.fields if name.removeprefix(REMOVE) in tucked]

    @property
    def advanced_open(self) -> bool:
        """True when something tucked away needs attention."""
        return any(field.errors for field in self.advanced_fields)

    def credentials(self) -> dict[str, str | None]:
        """Return the credentials that were typed, None for one to be removed; blank ones are left out."""
        given: dict[str, str | None] = {}
        for entry in self.asked:
            value = self.cleaned_data.get(entry.name, "")
            if value or self.cleaned_data.get(REMOVE + entry.name):
                given[entry.name] = value or None
        return given

    def refuse(self, fields: Fields) -> None:
        """Put sentences to their fields; those of a field that is not asked here go above the form."""
        for name, sentences in fields.items():
            known = name.removeprefix(PREFIX)
            for sentence in sentences:
                self.add_error(known if known in self.fields else None, sentence)

    def show_site(self, site: str) -> None:
        """Show the address as it was cut, instead of what was pasted."""
        given: Any = self.data
        changed = given.copy()
        changed["site"] = site
        self.data = changed


def typed_names(provider: ProviderInfo) -> list[str]:
    """Return the fields whose values may be shown again: everything but secrets."""
    return ["name", "site", *(entry.name for entry in provider.fields if not entry.secret)]


def initial_of(values: Mapping[str, str], provider: ProviderInfo) -> dict[str, str]:
    """Return initial values from what was kept of an earlier try, without anything secret."""
    allowed = set(typed_names(provider))
    return {name: value for name, value in values.items() if name in allowed}


def _field(entry: CredentialField, *, blank_keeps: bool, removable: bool) -> forms.CharField:
    attrs = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
    if entry.secret:
        # Browsers keep their own password of this site out of fields that are for a new one.
        attrs["autocomplete"] = "new-password"
    hint = entry.help
    if removable:
        hint = "Leave it empty to keep the stored one." if blank_keeps else "Enter it again, or remove it."
    elif blank_keeps and entry.required:
        hint = f"{hint} Leave it empty to keep the stored one."
    return forms.CharField(
        label=entry.label,
        required=entry.required and not blank_keeps,
        help_text=hint,
        widget=forms.PasswordInput(attrs=attrs) if entry.secret else forms.TextInput(attrs=attrs),
    )
