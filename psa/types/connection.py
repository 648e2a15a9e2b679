"""Owns what describes a connection, its role and a probe of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from psa.types.kinds import Feature, FeatureStatus


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One field of a provider's credential form."""

    name: str
    label: str
    secret: bool = False
    required: bool = True
    help: str = ""
    pattern: str = ""
    """Regular expression the whole stripped value must match; empty accepts anything."""
    pattern_hint: str = ""
    """Sentence shown when the pattern does not match."""
    max_chars: int = 200
    advanced: bool = False
    """True when forms tuck the field away under Advanced."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a connection's API was found, as a `discover` stored it."""

    site: str
    """Host the person gave, cut from whatever was pasted: `na.myconnectwise.net`, `127.0.0.1:9000`."""
    base_url: str
    """Everything before an operation's path, without a slash at the end."""
    version: str = ""
    """The PSA's own version, shown to people."""
    api_version: str = ""
    """API model asked for in the Accept header; empty asks for the newest."""

    def as_dict(self) -> dict[str, str]:
        """Return the endpoint as plain JSON for storage."""
        return {
            "site": self.site,
            "base_url": self.base_url,
            "version": self.version,
            "api_version": self.api_version,
        }


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """Everything a provider needs to reach one PSA. Its repr shows no credential.

    Units: connect_timeout_s and call_deadline_s are seconds; the deadline covers the whole answer.
    """

    key: str
    """Stable name of the connection in cache keys and logs."""
    site: str
    """Address as the person typed it; a provider cuts it to its host."""
    credentials: Mapping[str, str] = field(repr=False)
    endpoint: Endpoint | None = None
    """What an earlier `discover` found; None makes the provider discover on first use."""
    trusted_hosts: tuple[str, ...] = ()
    """`host`, `host:port` or CIDR that may be private or plain HTTP."""
    ca_bundle: str | None = None
    """Path of a CA file; None uses the bundle that ships with requests."""
    connect_timeout_s: float = 5.0
    call_deadline_s: float = 30.0
    pool_size: int = 20
    """Keep-alive sockets one client holds at most."""


@dataclass(frozen=True, slots=True)
class FeatureResult:
    """What a probe says of one product feature."""

    feature: Feature
    status: FeatureStatus
    grant: str = ""
    """Security-role row and level to grant, in the vendor's own words; empty when all is well."""


@dataclass(frozen=True, slots=True)
class RoleNeed:
    """One row of the PSA's security role that a feature needs.

    Shape: levels are the vendor's own words in small letters: ("add", "edit", "inquire").
    """

    feature: Feature
    module: str
    row: str
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoleRow:
    """One row of the PSA's security role with everything that all features together need in it."""

    module: str
    row: str
    levels: frozenset[str]
    features: tuple[Feature, ...]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Answer of a probe: it read, it wrote nothing."""

    version: str
    features: tuple[FeatureResult, ...]
    hidden_boards: tuple[str, ...] = ()
    """Names (or ids) of boards the API member cannot see."""
    member: str = ""
    """Identifier of the API member, empty when the PSA did not tell."""
