"""Owns the error tree. A new vendor case becomes a row in that vendor's `errors.py`, not a class here.

PsaError
├── ProviderError                    something about a call to a PSA
│   ├── ConnectFailedError           nothing was sent: safe to repeat
│   │   ├── HostNotAllowedError      the address is private, plain HTTP or not trusted: ask the operator
│   │   └── CertificateError         TLS could not be verified: fix the CA bundle or the server
│   ├── OutcomeUnknownError          a write was sent, no clear answer: look it up, never resend blind
│   ├── RateLimitedError             nothing was done: wait retry_after_s
│   ├── UnavailableError             a read got no usable answer: safe to repeat
│   ├── MovedError                   the PSA is being upgraded or has moved: nothing was done
│   ├── AuthenticationFailedError    the keys were refused
│   ├── ClientIdRefusedError         the integration's client id was refused
│   ├── PermissionDeniedError        the security role lacks `grant`
│   ├── NotFoundError                the record does not exist or is hidden
│   ├── BusyError                    the PSA asks to try again: look, then repeat
│   └── RejectedError                the PSA refused the record: permanent, `fields` says why
│       ├── InvalidStatusError       the status is not one of the ticket's board: `valid_names`
│       └── StatusUnchangedError     the PSA answered and kept the old status: `kept`
├── WebhookRefusedError              a message that is not, or not for us, from the PSA: `code`
├── UnsupportedOperationError        the provider lacks a capability: permanent
├── CredentialsUnreadableError       stored credentials cannot be decrypted: permanent
└── ServiceError                     what a caller asked for cannot be done: `code`, `fields`
    ├── InvalidInputError            the input is wrong: `fields` says where
    ├── ConflictError                the present state forbids it
    ├── RoleError                    the person's role does not allow it
    └── MissingError                 no such object in this tenant

Configuration errors are `django.core.exceptions.ImproperlyConfigured`, outside this tree on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Fields = Mapping[str, Sequence[str]]
"""Sentences by field name."""


class PsaError(Exception):
    """Anything that goes wrong in this app on purpose."""


class ProviderError(PsaError):
    """A call to a PSA failed; the attributes say how. The text leads with the request id."""

    permanent = False
    """True when the same call can never succeed."""

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        status: int | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
        vendor_text: str = "",
    ) -> None:
        self.message = message
        """Full sentence for a person."""
        self.operation = operation
        self.status = status
        """HTTP status of the answer, None when there was none."""
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        """Seconds the PSA asked us to wait, else None."""
        self.vendor_text = vendor_text
        """The PSA's own words, cut and redacted: for the log and for `dead` deliveries."""
        super().__init__(f"[{request_id}] {message}" if request_id else message)


class ConnectFailedError(ProviderError):
    """Nothing was sent, so repeating is safe."""


class HostNotAllowedError(ConnectFailedError):
    """The host is private, unencrypted or unknown and the operator has not trusted it."""

    permanent = True

    def __init__(self, message: str, *, host: str, operation: str = "") -> None:
        self.host = host
        """`host` or `host:port` the operator would have to trust."""
        super().__init__(message, operation=operation)


class CertificateError(ConnectFailedError):
    """The server's certificate could not be verified; nothing was sent."""


class OutcomeUnknownError(ProviderError):
    """A write may have happened. Look it up before sending anything again."""

    moved = False
    """True when the answer was a page of an upgrade or a proxy, not of the API."""


class RateLimitedError(ProviderError):
    """Nothing was done; `retry_after_s` is set."""


class UnavailableError(ProviderError):
    """A read got no usable answer; repeating is safe."""


class MovedError(ProviderError):
    """The API is not where it was; nothing was done. Discover again."""


class AuthenticationFailedError(ProviderError):
    """The PSA refused the keys."""


class ClientIdRefusedError(ProviderError):
    """The PSA refused the integration's client id: an operator's problem, not the tenant's."""


class PermissionDeniedError(ProviderError):
    """The API member's security role lacks a row."""

    def __init__(self, message: str, *, feature: str = "", grant: str = "", **facts: object) -> None:
        self.feature = feature
        """Value of `types.Feature`."""
        self.grant = grant
        """Row and level to grant, in the vendor's words."""
        super().__init__(message, **facts)  # type: ignore[arg-type]


class NotFoundError(ProviderError):
    """The record does not exist, or the API member may not see it."""

    permanent = True


class BusyError(ProviderError):
    """408, 409 or 425: look first, then repeat."""


class RejectedError(ProviderError):
    """The PSA refused the record and will refuse it again."""

    permanent = True

    def __init__(self, message: str, *, fields: Fields | None = None, **facts: object) -> None:
        self.fields: Fields = fields or {}
        """The PSA's sentences by neutral field name."""
        super().__init__(message, **facts)  # type: ignore[arg-type]


class InvalidStatusError(RejectedError):
    """The status is unknown on, or switched off for, the ticket's board."""

    def __init__(self, message: str, *, valid_names: Sequence[str] = (), **facts: object) -> None:
        self.valid_names = tuple(valid_names)
        super().__init__(message, **facts)  # type: ignore[arg-type]


class TimeRefusedError(RejectedError):
    """The PSA refused a time entry for a reason that can be named."""

    def __init__(self, message: str, *, objection: str, **facts: object) -> None:
        self.objection = objection
        """Code of a `types.TimeObjection`."""
        super().__init__(message, **facts)  # type: ignore[arg-type]


class StatusUnchangedError(RejectedError):
    """The PSA took a change of status and answered with the old one: often the role may not close tickets."""

    def __init__(self, message: str, *, kept: str, **facts: object) -> None:
        self.kept = kept
        """Name of the status the ticket still has."""
        super().__init__(message, **facts)  # type: ignore[arg-type]


class WebhookRefusedError(PsaError):
    """A message that cannot be trusted: forged, altered, of another company, or no message at all."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        """`not-json`, `company`, `key-url`, `signature` or `shape`."""
        self.message = message
        super().__init__(message)


class UnsupportedOperationError(PsaError):
    """The provider does not offer this; raised before anything is queued."""

    def __init__(self, provider: str, operation: str) -> None:
        self.provider = provider
        self.operation = operation
        super().__init__(f"{provider} does not offer {operation}.")


class CredentialsUnreadableError(PsaError):
    """Stored credentials cannot be decrypted with any configured key."""


class ServiceError(PsaError):
    """What was asked for cannot be done. `code` is a stable slug, the text a full sentence."""

    code = "invalid"

    def __init__(self, message: str, *, code: str = "", fields: Fields | None = None) -> None:
        self.message = message
        self.code = code or type(self).code
        self.fields: Fields = fields or {}
        super().__init__(message)


class InvalidInputError(ServiceError):
    """The input is wrong; `fields` names the places."""

    code = "invalid"


class ConflictError(ServiceError):
    """The present state forbids it; nothing was changed."""

    code = "conflict"


class RoleError(ServiceError):
    """The person may see the object, but their role does not allow this."""

    code = "role"


class MissingError(ServiceError):
    """There is no such object in this tenant."""

    code = "not-found"
