"""Owns the lookup of a company's codebase: the one call that is made without a login.

Source: docs/connectwise/quick-reference.md#hosts
"""

from __future__ import annotations

from typing import Any

from psa.exceptions import MovedError, ProviderError, RateLimitedError, RejectedError, UnavailableError
from psa.providers.connectwise import sites
from psa.providers.connectwise.auth import API_VERSION
from psa.providers.connectwise.errors import MOVED, error_for, looks_like_page
from psa.providers.http import Answer, HttpClient
from psa.types import Endpoint


def find_endpoint(http: HttpClient, site: str, company_id: str, known: Endpoint | None) -> Endpoint:
    """Ask a site where a company's API is. No credential is sent.

    Shape: known is what was found before: then a wrong page means an upgrade, not a mistyped address.
    Raises: ConnectFailedError and its subclasses; RejectedError (fields: site or company_id);
        MovedError; UnavailableError; RateLimitedError.
    """
    answer = http.send(
        "GET",
        sites.company_info_url(site, company_id),
        operation="discover",
        write=False,
        headers={"Accept": "application/json"},
        body_max_bytes=100_000,
    )
    info = _company_info(answer, site, known)
    try:
        codebase = info.get("Codebase")
        base_url = sites.base_url(site, codebase if isinstance(codebase, str) else "")
    except ValueError as exc:
        raise UnavailableError(
            f"{site} named no usable codebase for this company.", operation="discover", status=answer.status
        ) from exc
    same = known is not None and known.base_url == base_url
    return Endpoint(
        site=site,
        base_url=base_url,
        version=_version(info),
        api_version=known.api_version if known is not None and same else API_VERSION,
    )


def _company_info(answer: Answer, site: str, known: Endpoint | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "operation": "discover",
        "status": answer.status,
        "request_id": answer.request_id,
    }
    page = looks_like_page(answer)
    if answer.status == 429 or answer.status >= 500 or (answer.ok and not answer.body):
        raise _passing(error_for(answer, operation="discover", write=False))
    body = _json(answer)
    if answer.ok and isinstance(body, dict):
        return body
    if (answer.ok and not page and body is None) or (answer.status == 404 and not page):
        sentence = f"{site} knows no company with this ID."
        raise RejectedError(sentence, fields={"company_id": [sentence]}, **facts)
    if known is not None:
        raise MovedError(f"{MOVED} Nothing was done.", **facts)
    sentence = (
        f"{site} does not answer like a ConnectWise PSA server. Check the address; it is the host name "
        "you log in to."
    )
    fields = {"site": [sentence]}
    if answer.status == 404:
        fields["company_id"] = ["The company ID may be wrong, too."]
    raise RejectedError(sentence, fields=fields, **facts)


def _json(answer: Answer) -> Any:
    """Return the parsed body, None for JSON null, and a text for anything that is not JSON."""
    try:
        return answer.json()
    except ValueError:
        return "not JSON"


def _passing(error: ProviderError) -> ProviderError:
    """Return a failure that will pass by itself as one of the errors a discovery may raise."""
    if isinstance(error, (MovedError, RateLimitedError, UnavailableError)):
        return error
    return UnavailableError(error.message, operation="discover", status=error.status)


def _version(info: dict[str, Any]) -> str:
    for name in ("VersionNumber", "VersionCode"):
        value = info.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()[:40]
    return ""
