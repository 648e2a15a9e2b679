"""Owns the words for a connection that could not be made or changed: what happened, and what to do about it.

A new case is one more `@_said_of.register`; the nearest class of an error counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch

from integrations_ui.credential_form import CredentialForm
from psa import exceptions as errors

TRUSTED_HOSTS = "PSA_TRUSTED_HOSTS"


@dataclass(frozen=True, slots=True)
class Failure:
    """What a person reads above the form they sent."""

    title: str
    text: str
    remedy: str = ""
    setting: str = ""
    """Name of a setting the operator has to change, else empty."""
    value: str = ""
    """What to add to that setting, to be copied."""
    fields: errors.Fields = field(default_factory=dict)


def failure_of(exc: errors.PsaError, form: CredentialForm) -> Failure:
    """Return what to say about a refusal, and put sentences to the fields of the form they are about."""
    found = _said_of(exc, form)
    form.refuse(found.fields)
    return found


@singledispatch
def _said_of(exc: errors.PsaError, form: CredentialForm) -> Failure:
    return Failure("It could not be tested", _said(exc))


@_said_of.register
def _host(exc: errors.HostNotAllowedError, form: CredentialForm) -> Failure:
    return Failure(
        "This address is not allowed here",
        "It is not on the open internet, or it is spoken to without encryption, so nothing was sent to it.",
        "If it is right, ask whoever runs this installation to add this to the setting below and to restart:",
        setting=TRUSTED_HOSTS,
        value=exc.host,
        fields={"site": ["This address has to be trusted first."]},
    )


@_said_of.register
def _certificate(exc: errors.CertificateError, form: CredentialForm) -> Failure:
    return Failure(
        "The certificate could not be verified",
        _said(exc),
        "A server with a certificate of your own company needs that company's CA file: ask whoever runs this "
        "installation to name it in the setting below.",
        setting="PSA_CA_BUNDLE",
        fields={"site": ["Its certificate could not be verified."]},
    )


@_said_of.register
def _unreachable(exc: errors.ConnectFailedError, form: CredentialForm) -> Failure:
    return Failure(
        "The server could not be reached",
        _said(exc),
        "Check the address. A server in your own network has to let this installation through its firewall.",
        fields={"site": ["No server answered there."]},
    )


@_said_of.register
def _late(exc: errors.UnavailableError, form: CredentialForm) -> Failure:
    return Failure(
        "No usable answer in time",
        _said(exc),
        "Try again in a minute; what you typed is still here, except the secrets.",
    )


@_said_of.register
def _moved(exc: errors.MovedError, form: CredentialForm) -> Failure:
    return Failure("It is being upgraded, or the address is not quite right", _said(exc), "Try again later.")


@_said_of.register
def _patience(exc: errors.RateLimitedError, form: CredentialForm) -> Failure:
    return Failure("It asks for patience", _said(exc), "Too many calls arrive there. Try again in a minute.")


@_said_of.register
def _keys(exc: errors.AuthenticationFailedError, form: CredentialForm) -> Failure:
    names = [entry.name for entry in form.asked if entry.required and entry.name in form.fields]
    return Failure(
        "The keys were refused",
        _said(exc),
        "Make a new API key if you are not sure: a private key is shown only once.",
        fields={name: ["Check this."] for name in names},
    )


@_said_of.register
def _client_id(exc: errors.ClientIdRefusedError, form: CredentialForm) -> Failure:
    given = next(
        (entry for entry in form.asked if entry.advanced and form.cleaned_data.get(entry.name)), None
    )
    if given is not None:
        return Failure(
            f"The {given.label} was refused",
            _said(exc),
            "Leave it empty to use the one of this installation.",
            fields={given.name: [f"This {given.label} was refused."]},
        )
    return Failure(
        "The client ID of this installation was refused",
        _said(exc),
        "That is nothing you can mend here: ask whoever runs this installation to check its client ID, "
        "or enter one of your own under Advanced.",
    )


@_said_of.register
def _refused(exc: errors.RejectedError, form: CredentialForm) -> Failure:
    return Failure("Something in the form is not right", _said(exc), fields=exc.fields)


@_said_of.register
def _missing(exc: errors.NotFoundError, form: CredentialForm) -> Failure:
    return Failure("Nothing like this is there", _said(exc), fields={"site": [_said(exc)]})


@_said_of.register
def _unreadable(exc: errors.CredentialsUnreadableError, form: CredentialForm) -> Failure:
    return Failure(
        "The stored keys cannot be read",
        "None of the encryption keys of this installation opens them.",
        "Ask whoever runs it to put the earlier encryption key back.",
    )


@_said_of.register
def _input(exc: errors.InvalidInputError, form: CredentialForm) -> Failure:
    return Failure("Please look at the fields below", exc.message, fields=exc.fields)


@_said_of.register
def _conflict(exc: errors.ConflictError, form: CredentialForm) -> Failure:
    return Failure("That does not go together", _said(exc))


def _said(exc: errors.PsaError) -> str:
    """Return the sentence of an error without the id of its request, which is for the log."""
    return str(getattr(exc, "message", "") or exc)
