"""Owns callbacks: registering them, and telling a message of ConnectWise from a forged one.

Source: docs/connectwise/quick-reference.md#callbacks
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from psa.exceptions import NotFoundError, RejectedError, UnavailableError, WebhookRefusedError
from psa.providers.connectwise import sites
from psa.providers.connectwise.conditions import as_id
from psa.providers.connectwise.parts import ConnectWisePart
from psa.providers.connectwise.raw_values import record_id, text
from psa.providers.host_guard import DEFAULT_PORTS
from psa.types import Callback, CallbackDraft, Raw, WebhookAction, WebhookEvent

PATH = "/system/callbacks"
DESCRIPTION = "ResolutionFlow: changes of tickets"
PAYLOAD_VERSION = "3.0.0"

KEY_PATH_END = "/system/callbackkey/index.rails"
KEY_URL_MAX_CHARS = 500
KEY_DEADLINE_S = 5.0
KEY_MAX_BYTES = 4096
KEY_KEPT_S = 24 * 3600.0
KEY_ASKED_AGAIN_S = 60.0
"""How long a key that did not fit is believed: whoever sends forged messages causes few calls."""
KEYS_NEW_MAX = 5
"""Unknown keys that are asked for in that time."""


class CallbackOperations(ConnectWisePart):
    """Registrations, and messages."""

    def callbacks_list(self) -> list[Callback]:
        return self.api.full_list(PATH, _callback, operation="callbacks_list")

    def callback_register(self, draft: CallbackDraft) -> Callback:
        try:
            object_id = 1 if draft.level == "owner" else as_id(draft.object_id)
        except ValueError as exc:
            raise RejectedError(
                f"ConnectWise has no {draft.level} {draft.object_id[:40]!r}.", operation="callback_register"
            ) from exc
        body = {
            "description": DESCRIPTION,
            # ConnectWise appends the id of the record to the text of the address.
            "url": callback_url(draft.url),
            "objectId": object_id,
            "type": draft.type,
            "level": draft.level,
            "payloadVersion": PAYLOAD_VERSION,
            "inactiveFlag": False,
            # Changes we make ourselves are known already.
            "isSelfSuppressedFlag": True,
        }
        return self.api.write("POST", PATH, _callback, operation="callback_register", json=body)

    def callback_activate(self, callback_id: str, *, active: bool) -> Callback:
        steps = [{"op": "replace", "path": "inactiveFlag", "value": not active}]
        return self.api.write(
            "PATCH", _path(callback_id), _callback, operation="callback_activate", json=steps
        )

    def callback_remove(self, callback_id: str) -> None:
        try:
            self.api.call("DELETE", _path(callback_id), operation="callback_remove", write=True)
        except NotFoundError:
            return

    def callback_url_of(self, url: str) -> str:
        return callback_url(url)

    # Messages -----------------------------------------------------------------------------------

    def webhook_read(self, body: bytes, signature: str) -> WebhookEvent:
        message = _message(body)
        if str(message.get("CompanyId") or "").casefold() != self.api.company_id.casefold():
            raise WebhookRefusedError("company", "The message is about another company.")
        key_url = self._key_url(message)
        given = _signature(signature)
        if not self._signed(body, given, key_url):
            raise WebhookRefusedError("signature", "The signature does not fit the message.")
        return _event(message)

    def _signed(self, body: bytes, given: bytes, key_url: str) -> bool:
        """Return whether ConnectWise signed; a key that does not fit is asked for again once."""
        name = f"webhook-key:{key_url}"
        key = self.cache.get(name)
        if key is not None and _fits(key, body, given):
            return True
        # Known keys that do not fit share one more try a minute; so do all keys nobody has seen before.
        asked = "webhook-key-again" if key is not None else "webhook-key-new"
        tries: int = self.cache.get(asked, 0)
        if tries >= (1 if key is not None else KEYS_NEW_MAX):
            return False
        self.cache.set(asked, tries + 1, KEY_ASKED_AGAIN_S)
        key = self._fetch_key(key_url)
        self.cache.set(name, key, KEY_KEPT_S)
        return _fits(key, body, given)

    def _key_url(self, message: Mapping[str, Any]) -> str:
        """Return where the key is, once that is beyond doubt a place of our own ConnectWise.

        Raises: WebhookRefusedError. Nothing was asked until here.
        """
        metadata = message.get("Metadata")
        url = metadata.get("key_url") if isinstance(metadata, dict) else None
        refused = WebhookRefusedError("key-url", "The message names a key that is not on our ConnectWise.")
        if not isinstance(url, str) or len(url) > KEY_URL_MAX_CHARS or not url.isascii():
            raise refused
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise refused from None
        plain = not (parts.username or parts.password or parts.fragment or "\\" in url or ".." in parts.path)
        known = {_origin(address) for address in self._own_addresses()}
        origin = (parts.scheme, parts.hostname or "", port or DEFAULT_PORTS.get(parts.scheme, 0))
        companies = parse_qs(parts.query).get("companyName", [])
        ours = [name.casefold() for name in companies] == [self.api.company_id.casefold()]
        if not (plain and origin in known and parts.path.endswith(KEY_PATH_END) and ours):
            raise refused
        return url

    def _own_addresses(self) -> tuple[str, str]:
        """Return the address of the site, and that of its twin in the cloud."""
        return sites.root_url(sites.site_identity(self.api.site)), sites.api_root_url(
            sites.site_identity(self.api.site)
        )

    def _fetch_key(self, url: str) -> str:
        """Return the signing key at an address that was judged before. No login is sent there.

        Raises: ProviderError, when it cannot be had now; the message is judged later then.
        """
        answer = self.http.send(
            "GET",
            url,
            operation="webhook_key",
            write=False,
            deadline_s=KEY_DEADLINE_S,
            body_max_bytes=KEY_MAX_BYTES,
        )
        if answer.status in (400, 404, 410):
            raise WebhookRefusedError("key-url", "ConnectWise does not know the key the message names.")
        if not answer.ok:
            raise UnavailableError(
                "ConnectWise did not tell its signing key.", operation="webhook_key", status=answer.status
            )
        try:
            key = answer.json()["signing_key"]
        except (ValueError, KeyError, TypeError) as exc:
            raise UnavailableError(
                "ConnectWise sent no signing key.", operation="webhook_key", status=answer.status
            ) from exc
        if not isinstance(key, str) or not key:
            raise UnavailableError("ConnectWise sent no signing key.", operation="webhook_key")
        return key


def callback_url(url: str) -> str:
    """Return what is registered: it ends so that an id can be appended."""
    return f"{url}?recordId="


def _callback(raw: Raw) -> Callback:
    level, object_id = text(raw, "level"), raw.get("objectId")
    return Callback(
        id=record_id(raw),
        url=text(raw, "url"),
        type=text(raw, "type"),
        level=level,
        object_id="" if level == "owner" or object_id is None else str(object_id),
        active=raw.get("inactiveFlag") is not True,
    )


def _path(callback_id: str) -> str:
    try:
        return f"{PATH}/{as_id(callback_id)}"
    except ValueError as exc:
        raise NotFoundError(f"There is no callback {str(callback_id)[:40]!r}.") from exc


def _origin(address: str) -> tuple[str, str, int]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]


def _message(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise WebhookRefusedError("not-json", "The message is not JSON.") from exc
    if not isinstance(found, dict):
        raise WebhookRefusedError("not-json", "The message is not a JSON object.")
    return found


def _signature(given: str) -> bytes:
    try:
        found = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != hashlib.sha256().digest_size:
        raise WebhookRefusedError("signature", "The message has no usable signature.")
    return found


def _fits(key: str, body: bytes, given: bytes) -> bool:
    """Return whether a signature is that of exactly these bytes, in constant time."""
    hashed = hashlib.sha256(key.encode()).digest()
    return hmac.compare_digest(hmac.new(hashed, body, hashlib.sha256).digest(), given)


def _event(message: Mapping[str, Any]) -> WebhookEvent:
    """Return what a signed message says. Raises: WebhookRefusedError for a shape we do not know."""
    action, number = message.get("Action"), message.get("ID")
    try:
        known = WebhookAction(str(action).casefold())
        found = as_id(number if isinstance(number, (str, int)) and not isinstance(number, bool) else "")
    except ValueError as exc:
        raise WebhookRefusedError("shape", "The message tells neither record nor action.") from exc
    return WebhookEvent(
        action=known,
        type=str(message.get("Type") or "").casefold()[:30],
        record_id=str(found),
        member=str(message.get("MemberId") or "")[:100],
        message_id=str(message.get("MessageId") or "")[:80],
    )
