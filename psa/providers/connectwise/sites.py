"""Owns addresses: what people paste, the cloud's twin hosts, base URLs and deep links.

A site is stored as `host[:port]`, meaning https, or as `http://host[:port]` for an installation without TLS.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

_CLOUD = re.compile(r"(?:api-)?((?:na|eu|au|aus|za|staging)\.(?:myconnectwise\.net|connectwisedev\.com))")
"""The vendor's clouds. People's browsers use the bare host, the API answers only on its `api-` twin.
`sandbox-na` and its sisters serve both on one host, so they are not here."""

_HOST = re.compile(r"(?=.{1,253}$)(?:(?!-)[a-z0-9_-]{1,63}(?<!-)\.)*(?!-)[a-z0-9_-]{1,63}(?<!-)")
_CODEBASE = re.compile(r"[A-Za-z0-9_.-]+/?")

DEFAULT_CODEBASE = "v4_6_release/"
"""Path that routes to the current version wherever a browser goes."""


def site_clean(pasted: str) -> str:
    """Return the site of a pasted address. Raises: ValueError with a sentence for people."""
    text = pasted.strip().strip("\ufeff\u200b")
    if not text:
        raise ValueError("Enter the address of your ConnectWise PSA, for example na.myconnectwise.net.")
    if re.search(r"[\s\x00-\x1f\x7f\\]", text):
        raise ValueError("The address must not contain spaces.")
    if "://" not in text:
        text = f"https://{text.lstrip('/')}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("The address is not valid: check the host name and the port.") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise ValueError("The address must begin with https:// or be just the host name.")
    if "@" in parts.netloc:
        raise ValueError("Leave user names and passwords out of the address.")
    host = _host_clean(parts.hostname or "")
    secure = parts.scheme.lower() == "https"
    if port == (443 if secure else 80):
        port = None
    if port == 0:
        raise ValueError("The address is not valid: check the host name and the port.")
    netloc = f"{host}:{port}" if port else host
    return netloc if secure else f"http://{netloc}"


def _host_clean(host: str) -> str:
    host = host.lower().removesuffix(".")
    if ":" in host:
        if not re.fullmatch(r"[0-9a-f:.]+", host):
            raise ValueError("The address is not valid: check the host name and the port.")
        return f"[{host}]"
    if not host.isascii():
        # Look-alike letters would send the keys to somebody else's host; the xn-- form shows what it is.
        raise ValueError("The host name may only have plain letters, digits, dots and hyphens.")
    if not _HOST.fullmatch(host):
        raise ValueError("The address is not valid: check the host name and the port.")
    return host


def site_identity(site: str) -> str:
    """Return a site with the cloud's twin hosts made one: `api-na.…` and `na.…` are the same."""
    match = _CLOUD.fullmatch(site)
    return match[1] if match else site


def root_url(site: str) -> str:
    """Return scheme and host of a stored site."""
    return site if site.startswith("http://") else f"https://{site}"


def api_root_url(site: str) -> str:
    """Return scheme and host the API answers on."""
    match = _CLOUD.fullmatch(site)
    return f"https://api-{match[1]}" if match else root_url(site)


def company_info_url(site: str, company_id: str) -> str:
    """Return where a site tells, without a login, which codebase a company runs on."""
    return f"{root_url(site)}/login/companyinfo/{quote(company_id, safe='')}"


def base_url(site: str, codebase: str) -> str:
    """Return the API base. The host is always the given one, never one an answer named.

    Raises: ValueError for a codebase that is not a single plain path segment.
    """
    if not _CODEBASE.fullmatch(codebase) or codebase.strip("./") == "":
        raise ValueError(f"{codebase[:60]!r} is not a codebase")
    return f"{api_root_url(site)}/{codebase.rstrip('/')}/apis/3.0"


def ticket_url(site: str, company_id: str, ticket_id: str) -> str:
    """Return the link that opens a ticket in a person's browser."""
    match = _CLOUD.fullmatch(site)
    root = f"https://{match[1]}" if match else root_url(site)
    page = "v4_6_release/services/system_io/Service/fv_sr100_request.rails"
    return f"{root}/{page}?service_recid={quote(ticket_id)}&companyName={quote(company_id, safe='')}"
