"""Tests of what the environment does to the settings. Each starts a Python of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
GOOD = {"SECRET_KEY": "x" * 60, "PSA_ENCRYPTION_KEYS": "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk="}
SHOW = """
import json
from resolutionflow import settings as s
names = ["DEBUG", "DATABASES", "CACHES", "PSA", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS",
    "SESSION_COOKIE_SECURE",
    "CSRF_COOKIE_SECURE", "CSRF_TRUSTED_ORIGINS", "SECURE_PROXY_SSL_HEADER", "ALLOWED_HOSTS", "STORAGES"]
print(json.dumps({n: getattr(s, n) for n in names}, default=str))
"""


def start(
    code: str = SHOW, *, env_file: str = os.devnull, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "ENV_FILE": env_file} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def settings(**environment: str) -> dict[str, object]:
    done = start(**(GOOD | environment))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_secret_key_is_told_in_one_sentence() -> None:
    done = start(PSA_ENCRYPTION_KEYS="x")
    assert (
        "ImproperlyConfigured: Set SECRET_KEY in the environment or in .env" in done.stderr.splitlines()[-1]
    )


def test_no_encryption_key_is_told_in_one_sentence() -> None:
    done = start(SECRET_KEY="x")
    assert "ImproperlyConfigured: Set PSA_ENCRYPTION_KEYS in the environment" in done.stderr.splitlines()[-1]


def test_production_is_the_default_and_locked_down() -> None:
    found = settings()
    assert found["DEBUG"] is False
    assert found["SECURE_SSL_REDIRECT"] is True
    assert found["SECURE_HSTS_SECONDS"] >= 365 * 24 * 3600
    assert (found["SESSION_COOKIE_SECURE"], found["CSRF_COOKIE_SECURE"]) == (True, True)


def test_debug_speaks_plain_http() -> None:
    found = settings(DEBUG="1")
    assert (found["SECURE_SSL_REDIRECT"], found["SESSION_COOKIE_SECURE"]) == (False, False)


def test_redirect_by_the_proxy_keeps_cookies_secure() -> None:
    found = settings(SECURE_SSL_REDIRECT="0", PSA_BASE_URL="https://psa.example.com/")
    assert (found["SESSION_COOKIE_SECURE"], found["CSRF_TRUSTED_ORIGINS"]) == (
        True,
        ["https://psa.example.com"],
    )


def test_forwarded_scheme_is_believed_only_behind_a_counted_proxy() -> None:
    assert settings()["SECURE_PROXY_SSL_HEADER"] is None
    assert settings(TRUSTED_PROXY_COUNT="1")["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]


def test_sqlite_takes_the_write_lock_first_and_waits() -> None:
    options = settings()["DATABASES"]["default"]["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert options["timeout"] >= 10
    assert "journal_mode=WAL" in options["init_command"]


def test_database_url_chooses_postgresql_without_a_transaction_a_request() -> None:
    database = settings(DATABASE_URL="postgres://u:p@db.example/psa")["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert not database.get("ATOMIC_REQUESTS")


def test_cache_is_local_memory_with_room() -> None:
    cache = settings()["CACHES"]["default"]
    assert cache["BACKEND"].endswith("LocMemCache")
    assert cache["OPTIONS"]["MAX_ENTRIES"] == 20_000


def test_redis_is_django_s_own_backend() -> None:
    cache = settings(CACHE_URL="redis://127.0.0.1:6379/1")["CACHES"]["default"]
    assert cache["BACKEND"] == "django.core.cache.backends.redis.RedisCache"
    assert cache["LOCATION"] == "redis://127.0.0.1:6379/1"


def test_ca_bundle_of_ours_wins_over_that_of_requests() -> None:
    assert settings(PSA_CA_BUNDLE="/a", REQUESTS_CA_BUNDLE="/b")["PSA"]["CA_BUNDLE"] == "/a"
    assert settings(REQUESTS_CA_BUNDLE="/b")["PSA"]["CA_BUNDLE"] == "/b"
    assert settings()["PSA"]["CA_BUNDLE"] is None


def test_lists_are_split_at_commas() -> None:
    psa = settings(PSA_TRUSTED_HOSTS="127.0.0.1, 10.0.0.0/8,", PSA_ENCRYPTION_KEYS="new,old")["PSA"]
    assert (psa["TRUSTED_HOSTS"], psa["ENCRYPTION_KEYS"]) == (["127.0.0.1", "10.0.0.0/8"], ["new", "old"])


def test_default_client_id_is_taken_from_the_environment() -> None:
    psa = settings(CONNECTWISE_CLIENT_ID="abc")["PSA"]
    assert psa["DEFAULT_CREDENTIALS"]["connectwise"]["client_id"] == "abc"


def test_env_file_fills_in_and_the_environment_wins(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text(
        "".join(f"{name}={value}\n" for name, value in GOOD.items()) + "DEBUG=1\nALLOWED_HOSTS=a,b\n"
    )
    done = start(env_file=str(path), ALLOWED_HOSTS="c")
    found = json.loads(done.stdout)
    assert (found["DEBUG"], found["ALLOWED_HOSTS"]) == (True, ["c"])


def test_static_files_carry_a_hash_in_production() -> None:
    assert "Manifest" in settings()["STORAGES"]["staticfiles"]["BACKEND"]


def test_mail_is_shown_in_development_and_sent_by_a_server_otherwise() -> None:
    code = "from resolutionflow import settings as s; print(s.EMAIL_BACKEND, s.EMAIL_HOST, s.EMAIL_USE_TLS)"
    url = "smtp+tls://u:p@mail.example:587"
    shown = [
        start(code, **GOOD, **given).stdout.split() for given in ({"DEBUG": "1"}, {}, {"EMAIL_URL": url})
    ]
    start_of = "django.core.mail.backends."
    assert shown == [
        [f"{start_of}console.EmailBackend", "localhost", "False"],
        [f"{start_of}smtp.EmailBackend", "localhost", "False"],
        [f"{start_of}smtp.EmailBackend", "mail.example", "True"],
    ]
