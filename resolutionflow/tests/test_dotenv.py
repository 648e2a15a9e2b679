"""Tests of the developer's .env."""

from __future__ import annotations

import stat
import uuid
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from resolutionflow.dotenv import env_file_complete, env_file_load


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def read(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


def test_first_run_writes_everything(path: Path) -> None:
    added = env_file_complete(path)
    assert set(read(path)) == set(added)
    assert {"DEBUG", "SECRET_KEY", "PSA_ENCRYPTION_KEYS", "PSA_TRUSTED_HOSTS", "CONNECTWISE_CLIENT_ID"} < set(
        added
    )


def test_only_the_owner_may_read_it(path: Path) -> None:
    env_file_complete(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_encryption_key_is_a_fernet_key(path: Path) -> None:
    env_file_complete(path)
    Fernet(read(path)["PSA_ENCRYPTION_KEYS"])


def test_client_id_is_one_guid_on_both_sides(path: Path) -> None:
    env_file_complete(path)
    found = read(path)
    assert found["CONNECTWISE_CLIENT_ID"] == found["CONNECTWISE_SANDBOX_CLIENT_ID"]
    uuid.UUID(found["CONNECTWISE_CLIENT_ID"])


def test_second_run_changes_nothing(path: Path) -> None:
    env_file_complete(path)
    before = path.read_bytes()
    assert env_file_complete(path) == []
    assert path.read_bytes() == before


def test_what_stands_there_is_kept_and_the_rest_is_added(path: Path) -> None:
    path.write_text("# mine\nSECRET_KEY=mine\nCONNECTWISE_CLIENT_ID=guid")
    env_file_complete(path)
    assert path.read_text().startswith("# mine\nSECRET_KEY=mine\nCONNECTWISE_CLIENT_ID=guid\n")
    assert read(path)["CONNECTWISE_SANDBOX_CLIENT_ID"] == "guid"


def test_device_is_left_alone() -> None:
    assert env_file_complete(Path("/dev/null")) == []


def test_two_machines_get_different_secrets(path: Path, tmp_path: Path) -> None:
    env_file_complete(path)
    env_file_complete(tmp_path / "other")
    assert read(path)["SECRET_KEY"] != read(tmp_path / "other")["SECRET_KEY"]


def test_environment_wins_over_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PSA_TRUSTED_HOSTS", "from-outside")
    monkeypatch.setenv("CONNECTWISE_SANDBOX_COMPANY_ID", "x")
    monkeypatch.delenv("CONNECTWISE_SANDBOX_COMPANY_ID")
    path.write_text("PSA_TRUSTED_HOSTS=from-file\nCONNECTWISE_SANDBOX_COMPANY_ID=from-file\n")
    env_file_load(path)
    import os

    assert os.environ["PSA_TRUSTED_HOSTS"] == "from-outside"
    assert os.environ["CONNECTWISE_SANDBOX_COMPANY_ID"] == "from-file"
