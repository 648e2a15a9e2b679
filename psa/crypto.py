"""Owns encryption at rest: MultiFernet with key ids. What cannot be decrypted is an error, never a value.

A stored value reads `psa1:<key id>:<fernet token>`; the key id is the first 8 hex digits of SHA-256 over
the key, so a row tells which key it needs without revealing anything of it.
"""

from __future__ import annotations

import hashlib

from cryptography.fernet import Fernet, InvalidToken
from django.core.exceptions import ImproperlyConfigured

from psa.conf import psa_settings
from psa.exceptions import CredentialsUnreadableError

PREFIX = "psa1"


def key_id(key: str) -> str:
    """Return the public name of a Fernet key: 8 hex digits."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _keys() -> dict[str, Fernet]:
    keys = psa_settings().ENCRYPTION_KEYS
    if not keys:
        raise ImproperlyConfigured(
            "PSA['ENCRYPTION_KEYS'] is empty. Set it to at least one key made by "
            "cryptography.fernet.Fernet.generate_key()."
        )
    try:
        return {key_id(key): Fernet(key) for key in keys}
    except ValueError as exc:
        raise ImproperlyConfigured(
            "PSA['ENCRYPTION_KEYS'] holds a value that is no Fernet key (32 bytes, URL-safe base64)."
        ) from exc


def encrypt(plain: bytes) -> str:
    """Return ciphertext under the newest key.

    Raises: ImproperlyConfigured, when no usable key is configured.
    """
    name, fernet = next(iter(_keys().items()))
    return f"{PREFIX}:{name}:{fernet.encrypt(plain).decode()}"


def decrypt(stored: str) -> bytes:
    """Return the plain bytes of a stored value.

    Raises: CredentialsUnreadableError, for a foreign form, an unknown key or a token that does not verify.
    """
    parts = stored.split(":", 2)
    if len(parts) != 3 or parts[0] != PREFIX:
        raise CredentialsUnreadableError("A stored secret is not in the form this app writes.")
    fernet = _keys().get(parts[1])
    if fernet is None:
        raise CredentialsUnreadableError(
            f"A stored secret needs the encryption key {parts[1]}, which is not in PSA['ENCRYPTION_KEYS']."
        )
    try:
        return fernet.decrypt(parts[2].encode())
    except InvalidToken as exc:
        raise CredentialsUnreadableError(
            f"A stored secret does not verify under its encryption key {parts[1]}."
        ) from exc


def key_id_of(stored: str) -> str:
    """Return the key id a stored value names, empty for a foreign form."""
    parts = stored.split(":", 2)
    return parts[1] if len(parts) == 3 and parts[0] == PREFIX else ""


def newest_key_id() -> str:
    """Return the id of the key that encrypts now."""
    return next(iter(_keys()))
