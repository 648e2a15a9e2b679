"""Owns the conversation with one ConnectWise server: where it is, how it is asked, what its answers mean.

Everything above speaks in paths and parsed records; everything below is `HttpClient`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from requests_toolbelt import MultipartEncoder

from psa.exceptions import ClientIdRefusedError, ProviderError, RejectedError, UnavailableError
from psa.providers.connectwise import sites
from psa.providers.connectwise.auth import accept_header, auth_headers
from psa.providers.connectwise.conditions import URL_MAX_CHARS
from psa.providers.connectwise.discovery import find_endpoint
from psa.providers.connectwise.errors import error_for, is_routing, refuses_version
from psa.providers.connectwise.paging import PAGE_MAX_ROWS, next_of
from psa.providers.http import Answer, HttpClient
from psa.types import ConnectionConfig, Endpoint, Page

T = TypeVar("T")
Parse = Callable[[Mapping[str, Any]], T]
Params = dict[str, str | int]
Form = Callable[[], MultipartEncoder]

SETTLED_S = 10.0
"""Seconds for which "the codebase has not changed" is believed, so that many lanes ask once."""

LIST_MAX_PAGES = 2_000
"""Pages. Two million records: a list that is longer goes in circles."""

_WRONG_SHAPE = (ValueError, TypeError, KeyError, AttributeError, IndexError)


class ConnectWiseClient:
    """Speaks to one server with one set of keys, from any number of threads."""

    def __init__(self, config: ConnectionConfig, http: HttpClient) -> None:
        self.config = config
        self.http = http
        self.site = config.endpoint.site if config.endpoint else self._site(config.site)
        self.company_id = config.credentials.get("company_id", "")
        self._login = auth_headers(config.credentials)
        self._endpoint = config.endpoint
        self._lock = threading.Lock()
        self._settled_at = -SETTLED_S

    @staticmethod
    def _site(site: str) -> str:
        try:
            return sites.site_clean(site)
        except ValueError as exc:
            raise RejectedError(str(exc), fields={"site": [str(exc)]}) from exc

    # Where it is --------------------------------------------------------------------------------

    @property
    def endpoint(self) -> Endpoint | None:
        """Where the API was last found."""
        return self._endpoint

    def discover(self) -> Endpoint:
        """Find the API afresh and go on there."""
        with self._lock:
            self._endpoint = find_endpoint(self.http, self.site, self.company_id, self._endpoint)
            return self._endpoint

    def _located(self) -> Endpoint:
        if self._endpoint is None:
            with self._lock:
                if self._endpoint is None:
                    self._endpoint = find_endpoint(self.http, self.site, self.company_id, None)
        return self._endpoint

    def _relocate(self, old: Endpoint) -> Endpoint | None:
        """Return where the API is instead of `old`, None when it has not moved or nobody can tell."""
        with self._lock:
            if self._endpoint is not None and self._endpoint.base_url != old.base_url:
                return self._endpoint
            if time.monotonic() - self._settled_at < SETTLED_S:
                return None
            try:
                found = find_endpoint(self.http, self.site, self.company_id, old)
            except ProviderError:
                # The caller's own error says more; the lookup is logged by the HTTP client.
                found = old
            if found.base_url == old.base_url:
                self._settled_at = time.monotonic()
                return None
            self._endpoint = found
            return found

    def _without_version(self, old: Endpoint) -> Endpoint:
        with self._lock:
            if self._endpoint is None or self._endpoint == old:
                self._endpoint = replace(old, api_version="")
            return replace(self._endpoint, api_version="")

    # How it is asked ----------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        write: bool = False,
        params: Params | None = None,
        json: Any = None,
        form: Form | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float | None = None,
        answer_within_s: float | None = None,
        stream: bool = False,
    ) -> Answer:
        """Return a 2xx answer. A call that went to an old codebase, or asked for an unknown API model, did
        nothing: it is sent once more, writes too.

        Raises: ProviderError by the table in `errors`, or as `HttpClient.send`.
        """
        endpoint = self._located()
        relocated = False
        while True:
            body = form() if form else None
            typed = {"Content-Type": body.content_type} if body else {}
            answer = self.http.send(
                method,
                f"{endpoint.base_url}{path}",
                operation=operation,
                write=write,
                params=params,
                json=json,
                body=body,
                headers={
                    **self._login,
                    "Accept": accept_header(endpoint.api_version),
                    **typed,
                    **(headers or {}),
                },
                deadline_s=deadline_s,
                answer_within_s=answer_within_s,
                stream=stream,
            )
            if answer.ok:
                return answer
            if refuses_version(answer, endpoint.api_version):
                endpoint = self._without_version(endpoint)
                continue
            error = error_for(answer, operation=operation, write=write)
            if not is_routing(error):
                raise error
            found = None if relocated else self._relocate(endpoint)
            if found is None:
                raise self._still_here(error)
            endpoint, relocated = found, True

    def _still_here(self, error: ProviderError) -> ProviderError:
        """Return what a routing refusal means when the codebase has not changed."""
        unclear = error.status == 400 and (error.operation == "probe" or "clientId" not in self._login)
        if not unclear:
            return error
        return ClientIdRefusedError(
            "ConnectWise does not accept this client ID, or it does not serve this company ID. "
            "Check the client ID first.",
            operation=error.operation,
            status=error.status,
            request_id=error.request_id,
            vendor_text=error.vendor_text,
        )

    # What its answers mean ----------------------------------------------------------------------

    def get(self, path: str, parse: Parse[T], *, operation: str, params: Params | None = None) -> T:
        """Read one record. Raises: UnavailableError or MovedError for an answer that is none."""
        return self._record(self.call("GET", path, operation=operation, params=params), parse, operation)

    def _record(self, answer: Answer, parse: Parse[T], operation: str) -> T:
        try:
            body = answer.json()
            if not isinstance(body, dict):
                raise TypeError("a record is an object")
            return parse(body)
        except _WRONG_SHAPE as exc:
            raise error_for(answer, operation=operation, write=False) from exc

    def _rows(self, answer: Answer, operation: str) -> list[Mapping[str, Any]]:
        try:
            body = answer.json()
        except ValueError as exc:
            raise error_for(answer, operation=operation, write=False) from exc
        if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
            raise error_for(answer, operation=operation, write=False)
        return body

    def _parsed(
        self, rows: list[Mapping[str, Any]], parse: Parse[T], answer: Answer, operation: str
    ) -> list[T]:
        try:
            return [parse(row) for row in rows]
        except _WRONG_SHAPE as exc:
            raise error_for(answer, operation=operation, write=False) from exc

    def page(
        self,
        path: str,
        parse: Parse[T],
        *,
        operation: str,
        conditions: str = "",
        order_by: str = "",
        page: int = 1,
        page_size: int = 50,
        params: Params | None = None,
    ) -> Page[T]:
        """Read one page of a list; a filter too long for a URL goes to the list's `/search`."""
        filters = {"conditions": conditions, "orderBy": order_by}
        filters = {name: value for name, value in filters.items() if value}
        paging: Params = {**(params or {}), "page": page, "pageSize": page_size}
        base = self._located().base_url
        if len(base) + len(path) + len(urlencode({**filters, **paging})) < URL_MAX_CHARS:
            answer = self.call("GET", path, operation=operation, params={**filters, **paging})
            following = next_of(answer.headers.get("Link", ""))
            rows = self._rows(answer, operation)
            more = following is not None and following.name == "page" and following.number > page
        else:
            answer = self.call("POST", f"{path}/search", operation=operation, params=paging, json=filters)
            rows = self._rows(answer, operation)
            more = len(rows) >= page_size  # no Link header is documented here
        items = self._parsed(rows, parse, answer, operation)
        return Page(tuple(items), page + 1 if more and rows else None)

    def newest(
        self,
        path: str,
        parse: Parse[T],
        *,
        operation: str,
        max_pages: int,
        conditions: str = "",
        params: Params | None = None,
    ) -> list[T]:
        """Read the rows of a list with the newest first, at most max_pages of 1000 rows."""
        found: list[T] = []
        number: int | None = 1
        while number is not None and number <= max_pages:
            page = self.page(
                path,
                parse,
                operation=operation,
                conditions=conditions,
                order_by="id desc",
                page=number,
                page_size=PAGE_MAX_ROWS,
                params=params,
            )
            found += page.items
            number = page.next_page
        return found

    def full_list(self, path: str, parse: Parse[T], *, operation: str) -> list[T]:
        """Read a whole list, forward only: rows that are added or removed meanwhile shift nothing.

        Raises: UnavailableError also for a list that goes in circles.
        """
        items: list[T] = []
        params: Params = {"pageSize": PAGE_MAX_ROWS}
        headers = {"pagination-type": "forward-only"}
        reached = 0
        for _ in range(LIST_MAX_PAGES):
            answer = self.call("GET", path, operation=operation, params=params, headers=headers)
            rows = self._rows(answer, operation)
            items += self._parsed(rows, parse, answer, operation)
            following = next_of(answer.headers.get("Link", ""))
            if len(rows) < PAGE_MAX_ROWS or following is None:
                return items
            if following.number <= reached:
                break
            reached = following.number
            params = {"pageSize": PAGE_MAX_ROWS, following.name: following.number}
            if following.name == "page":
                headers = {}  # a server older than forward-only paging counts pages
        raise UnavailableError("ConnectWise sent a list that goes in circles.", operation=operation)

    def write(
        self,
        method: str,
        path: str,
        parse: Parse[T],
        *,
        operation: str,
        json: Any = None,
        form: Form | None = None,
        deadline_s: float | None = None,
        answer_within_s: float | None = None,
    ) -> T:
        """Send a change and return the record of its answer.

        Shape: form makes the same multipart form each time it is called, with its files at their first byte.

        Raises: OutcomeUnknownError whenever a 2xx answer could not be read.
        """
        answer = self.call(
            method,
            path,
            operation=operation,
            write=True,
            json=json,
            form=form,
            deadline_s=deadline_s,
            answer_within_s=answer_within_s,
        )
        try:
            body = answer.json()
            if not isinstance(body, dict):
                raise TypeError("a record is an object")
            return parse(body)
        except Exception as exc:
            # Everything, on purpose: the change was made, so no mistake of ours may look like a refusal.
            raise error_for(answer, operation=operation, write=True) from exc
