"""Owns how ConnectWise is logged in to: the credential form and the headers made from it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from psa.types import CredentialField

API_VERSION = "2025.16"
"""Model asked for first; a server that does not know it is asked for its newest instead."""

CREDENTIAL_SCHEMA = (
    CredentialField(
        name="company_id",
        label="Company ID",
        help="The company you type when you log in to ConnectWise PSA.",
        # The three parts are joined as company+public:private, so + and : would move the borders.
        pattern=r"[^\s+:/\\?#%\x00-\x1f\x7f]+",
        pattern_hint="The company ID has no spaces and none of + : / \\ ? # %.",
        max_chars=100,
    ),
    CredentialField(
        name="public_key",
        label="Public key",
        help="In ConnectWise PSA: System > Members > API Members, open the member, tab API Keys.",
        pattern=r"[\x21-\x39\x3b-\x7e]+",
        pattern_hint="The public key has no spaces, no colon and only plain letters, digits and signs.",
    ),
    CredentialField(
        name="private_key",
        label="Private key",
        secret=True,
        help="Shown once, when the key is created in the tab API Keys. If it is lost, create another.",
        pattern=r"[\x21-\x7e]+",
        pattern_hint="The private key has no spaces and only plain letters, digits and signs.",
    ),
    CredentialField(
        name="client_id",
        label="Client ID",
        secret=True,
        required=False,
        advanced=True,
        help="Leave empty to use the one of this installation. Made at developer.connectwise.com.",
        pattern=r"\{?[0-9A-Fa-f]{8}(?:-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}\}?",
        pattern_hint="A client ID looks like 01234567-89ab-cdef-0123-456789abcdef.",
    ),
)


def auth_headers(credentials: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that log in: `Authorization`, and `clientId` when there is one.

    Source: docs/connectwise/quick-reference.md#authentication
    """
    user = f"{credentials.get('company_id', '')}+{credentials.get('public_key', '')}"
    pair = f"{user}:{credentials.get('private_key', '')}"
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    if credentials.get("client_id"):
        headers["clientId"] = credentials["client_id"].strip("{}")
    return headers


def accept_header(api_version: str) -> str:
    """Return the Accept header for an API model; an empty version asks for the newest."""
    kind = "application/vnd.connectwise.com+json"
    return f"{kind}; version={api_version}" if api_version else kind
