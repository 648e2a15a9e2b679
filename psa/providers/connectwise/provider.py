"""Owns the ConnectWise PSA provider: its form, its capabilities, its probe. Operations live in the groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from psa.exceptions import (
    AuthenticationFailedError,
    MovedError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RejectedError,
    UnavailableError,
)
from psa.providers.connectwise import mapping, sites
from psa.providers.connectwise.articles import ArticleOperations
from psa.providers.connectwise.auth import CREDENTIAL_SCHEMA
from psa.providers.connectwise.callbacks import CallbackOperations
from psa.providers.connectwise.customers import CustomerOperations
from psa.providers.connectwise.documents import DocumentOperations
from psa.providers.connectwise.lookups import LookupOperations
from psa.providers.connectwise.notes import NoteOperations
from psa.providers.connectwise.parts import NOT_TOLD
from psa.providers.connectwise.permissions import LIST_READS, NEEDS, grant_for, judge_rows
from psa.providers.connectwise.raw_values import text
from psa.providers.connectwise.role import ROLE_NEEDS
from psa.providers.connectwise.tickets import TicketOperations
from psa.providers.connectwise.time_entries import TimeOperations
from psa.types import Capability, Endpoint, Feature, FeatureResult, FeatureStatus, ProbeResult


class ConnectWiseProvider(
    TicketOperations,
    NoteOperations,
    TimeOperations,
    DocumentOperations,
    CustomerOperations,
    ArticleOperations,
    CallbackOperations,
    LookupOperations,
):
    """ConnectWise PSA (Manage) over its REST API."""

    key = "connectwise"
    label = "ConnectWise PSA"
    account_field = "company_id"
    identity_fields = frozenset({"company_id", "public_key"})
    site_example = "na.myconnectwise.net"
    credential_schema = CREDENTIAL_SCHEMA
    role_needs = ROLE_NEEDS
    callback_levels: ClassVar = {"ticket": ("owner", "board")}
    capabilities = frozenset(
        {
            Capability.SERVICE_TICKETS,
            Capability.PROJECT_TICKETS,
            Capability.NOTES,
            Capability.NOTE_REMOVAL,
            Capability.NOTE_CHANGES,
            Capability.STATUS,
            Capability.MEMBERS,
            Capability.BOARDS,
            Capability.COMPANIES,
            Capability.CONTACTS,
            Capability.CONFIGURATIONS,
            Capability.TIME_ENTRIES,
            Capability.DOCUMENTS,
            Capability.AGREEMENTS,
            Capability.SLA,
            Capability.ARTICLES,
            Capability.CHANGES,
            Capability.CALLBACKS,
        }
    )

    @classmethod
    def site_clean(cls, site: str) -> str:
        return sites.site_clean(site)

    @classmethod
    def site_identity(cls, site: str) -> str:
        return sites.site_identity(sites.site_clean(site))

    @property
    def endpoint(self) -> Endpoint | None:
        return self.api.endpoint

    def discover(self) -> Endpoint:
        return self.api.discover()

    def check_access(self) -> None:
        self._log_in("check_access")

    def probe(self) -> ProbeResult:
        endpoint = self.discover()
        myself = self._log_in("probe")
        results = {Feature.CONNECTION: FeatureResult(Feature.CONNECTION, FeatureStatus.OK)}
        results = {**judge_rows(self._role_rows()), **results}
        for feature in NEEDS:
            if feature not in results:
                results[feature] = self._try_list(feature)
        return ProbeResult(
            version=endpoint.version,
            features=tuple(results[feature] for feature in NEEDS),
            hidden_boards=self._hidden_boards(myself),
            member=text(myself, "identifier"),
        )

    def _log_in(self, operation: str) -> Mapping[str, Any]:
        """Make the cheapest reads that need the keys and return the own member record, empty if not told.

        Raises: AuthenticationFailedError also when the cloud answers wrong keys with a missing endpoint.
        """
        try:
            return self.api.get("/system/myMembers/info", lambda raw: raw, operation=operation)
        except PermissionDeniedError:
            return {}
        except (MovedError, NotFoundError, RejectedError) as exc:
            first: ProviderError = exc
        try:
            self.api.get("/service/tickets/count", lambda raw: raw, operation=operation)
        except PermissionDeniedError:
            return {}
        except MovedError as exc:
            if exc.status != 404 or first.status != 404:
                raise
            raise AuthenticationFailedError(
                "ConnectWise refused the keys, or they belong to another company ID. "
                "Check the company ID, the public key and the private key.",
                operation=operation,
                status=404,
                request_id=exc.request_id,
                vendor_text=exc.vendor_text,
            ) from exc
        return {}

    def _role_rows(self) -> list[Mapping[str, Any]]:
        try:
            return self.api.full_list("/system/mySecurity", lambda raw: raw, operation="probe")
        except NOT_TOLD:
            return []

    def _try_list(self, feature: Feature) -> FeatureResult:
        """Read one record where the role's rows do not tell. That shows Inquire, never Add or Edit."""
        grant = grant_for(feature)
        path = LIST_READS.get(feature)
        if path is None:
            return FeatureResult(feature, FeatureStatus.UNKNOWN, grant)
        try:
            self.api.page(path, lambda raw: raw, operation="probe", page_size=1)
        except PermissionDeniedError:
            return FeatureResult(feature, FeatureStatus.DENIED, grant)
        except (MovedError, NotFoundError, RejectedError, UnavailableError):
            return FeatureResult(feature, FeatureStatus.UNKNOWN, grant)
        if all(need.levels == ("inquire",) for need in NEEDS[feature]):
            return FeatureResult(feature, FeatureStatus.OK)
        return FeatureResult(feature, FeatureStatus.UNKNOWN, grant)

    def _hidden_boards(self, myself: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the boards the API member is kept from, by name where the setup list still tells it."""
        hidden: list[str] = []
        for key in ("excludedServiceBoardIds", "excludedProjectBoardIds"):
            ids = myself.get(key)
            hidden += [str(board) for board in ids if isinstance(board, int)] if isinstance(ids, list) else []
        if not hidden:
            return ()
        try:
            boards = self.api.full_list("/service/boards", mapping.board, operation="probe")
        except NOT_TOLD:
            boards = []
        names = {board.id: board.name for board in boards}
        return tuple(names.get(board) or f"#{board}" for board in dict.fromkeys(hidden))
