"""Owns the `.env` of a developer: written on the first run, completed later, values are never changed."""

from __future__ import annotations

import base64
import os
import secrets
import uuid
from pathlib import Path

import environ

PATH = Path(os.environ.get("ENV_FILE") or Path(__file__).resolve().parent.parent / ".env")


def _fresh() -> dict[str, str]:
    """Return a value for everything a developer needs. The client id is the same GUID on both sides."""
    client_id = str(uuid.uuid4())
    return {
        "DEBUG": "1",
        "SECRET_KEY": secrets.token_urlsafe(50),
        # A Fernet key is 32 random bytes in URL-safe base 64.
        "PSA_ENCRYPTION_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "PSA_TRUSTED_HOSTS": "127.0.0.1,localhost",
        "CONNECTWISE_CLIENT_ID": client_id,
        "CONNECTWISE_SANDBOX_COMPANY_ID": f"sandbox{secrets.token_hex(3)}",
        "CONNECTWISE_SANDBOX_PUBLIC_KEY": secrets.token_hex(8),
        "CONNECTWISE_SANDBOX_PRIVATE_KEY": secrets.token_hex(8),
        "CONNECTWISE_SANDBOX_CLIENT_ID": client_id,
    }


def env_file_complete(path: Path = PATH) -> list[str]:
    """Write the file, or add what it lacks, and return the names that were added.

    Nothing that stands in the file is touched; it ends with mode 0600 because it holds secrets.
    """
    if path.exists() and not path.is_file():  # /dev/null stands for "no file"
        return []
    present = _names(path)
    fresh = _fresh()
    if "CONNECTWISE_CLIENT_ID" in present:
        fresh["CONNECTWISE_SANDBOX_CLIENT_ID"] = _value(path, "CONNECTWISE_CLIENT_ID")
    added = {name: value for name, value in fresh.items() if name not in present}
    if added:
        text = path.read_text("utf-8") if path.exists() else ""
        if text and not text.endswith("\n"):
            text += "\n"
        text += "".join(f"{name}={value}\n" for name, value in added.items())
        # Written beside and moved over: a full disk or a kill leaves the old file, not half a secret.
        beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
        beside.replace(path)
    return list(added)


def _lines(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pairs = (line.removeprefix("export ").partition("=") for line in path.read_text("utf-8").splitlines())
    return {name.strip(): value.strip() for name, mark, value in pairs if mark and not name.startswith("#")}


def _names(path: Path) -> set[str]:
    return set(_lines(path))


def _value(path: Path, name: str) -> str:
    return _lines(path)[name].strip("'\"")


def env_file_load(path: Path = PATH) -> None:
    """Put the file's values into the environment; what is set there already wins."""
    environ.Env.read_env(path)
