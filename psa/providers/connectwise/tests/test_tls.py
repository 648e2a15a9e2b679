"""An installation in the own network: https under a certificate authority of the company's own."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from psa.exceptions import CertificateError, HostNotAllowedError
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.http import HttpClient
from psa.providers.tests.contract import MemoryCache
from psa.types import ConnectionConfig, FeatureStatus, NoteDraft, NoteKind, RecordType

ROOT = Path(__file__).resolve().parents[4]
DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority that lives for one test."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.bundle = folder / f"{name}.pem"
        made = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0), DAY)
        self.bundle.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def server(self, host: str = "127.0.0.1", *, ends: datetime.timedelta = DAY) -> ssl.SSLContext:
        """Return the context of a server with a certificate for a host."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        try:
            host_name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            host_name = x509.DNSName(host)
        names = x509.SubjectAlternativeName([host_name])
        made = self._sign(name, key, x509.BasicConstraints(ca=False, path_length=None), ends, names)
        chain = self._folder / f"server-{made.serial_number}.pem"
        chain.write_bytes(
            made.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        constraints: x509.BasicConstraints,
        ends: datetime.timedelta,
        names: x509.SubjectAlternativeName | None = None,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        own, public = self._key.public_key(), key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * DAY)
            .not_valid_after(now + ends)
            .add_extension(constraints, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )
        if constraints.ca:
            usage = dict.fromkeys(
                (
                    "digital_signature",
                    "content_commitment",
                    "key_encipherment",
                    "data_encipherment",
                    "key_agreement",
                    "crl_sign",
                    "encipher_only",
                    "decipher_only",
                ),
                False,
            )
            builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, **usage), critical=True)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "Company CA")


@pytest.fixture(scope="module")
def https(authority: Authority) -> Iterator[SandboxServer]:
    with SandboxServer(ssl_context=authority.server()) as server:
        yield server


@contextlib.contextmanager
def provider_at(
    sandbox: SandboxServer, bundle: Path | None, *, trusted: tuple[str, ...] = ("127.0.0.1",)
) -> Iterator[ConnectWiseProvider]:
    config = ConnectionConfig(
        key="tls",
        site=ConnectWiseProvider.site_clean(sandbox.url),
        credentials=asdict(sandbox.credentials),
        trusted_hosts=trusted,
        ca_bundle=str(bundle) if bundle else None,
    )
    http = HttpClient(trusted_hosts=config.trusted_hosts, ca_bundle=config.ca_bundle)
    provider = ConnectWiseProvider(config, http, MemoryCache())
    try:
        yield provider
    finally:
        provider.close()


def test_connection_is_found_probed_and_written_to(https: SandboxServer, authority: Authority) -> None:
    number = https.tickets()[0]["id"]
    before = len(https.notes(number))
    with provider_at(https, authority.bundle) as provider:
        endpoint = provider.discover()
        assert endpoint.base_url == https.api_url
        assert endpoint.base_url.startswith("https://127.0.0.1:")
        probe = provider.probe()
        assert {found.status for found in probe.features} == {FeatureStatus.OK}
        draft = NoteDraft(NoteKind.ANALYSIS, "Replaced the toner.")
        note = provider.note_add(str(number), RecordType.SERVICE, draft)
    (stored,) = https.notes(number)[before:]
    assert (str(stored["id"]), stored["internalAnalysisFlag"]) == (note.id, True)


@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8", "{host}"])
def test_each_way_to_trust_the_host_works(https: SandboxServer, authority: Authority, trusted: str) -> None:
    named = (trusted.format(host=f"127.0.0.1:{https.port}"),)
    with provider_at(https, authority.bundle, trusted=named) as provider:
        assert provider.discover()


def test_authority_that_is_not_known_is_refused(https: SandboxServer, authority: Authority) -> None:
    """A trusted host may be private; it must still prove who it is."""
    before = len(https.requests)
    with provider_at(https, None) as provider, pytest.raises(CertificateError) as caught:
        provider.discover()
    assert "PSA_CA_BUNDLE" in caught.value.message
    assert len(https.requests) == before


def test_another_authority_of_the_same_name_is_refused(https: SandboxServer, tmp_path: Path) -> None:
    other = Authority(tmp_path, "Company CA")
    with provider_at(https, other.bundle) as provider, pytest.raises(CertificateError):
        provider.discover()


@pytest.mark.parametrize(
    "given", [{"host": "psa.example.com"}, {"host": "127.0.0.2"}, {"ends": -DAY}], ids=str
)
def test_certificate_that_does_not_fit_is_refused(authority: Authority, given: dict[str, Any]) -> None:
    with (
        SandboxServer(ssl_context=authority.server(**given)) as sandbox,
        provider_at(sandbox, authority.bundle) as provider,
        pytest.raises(CertificateError),
    ):
        provider.discover()


def test_host_that_is_not_trusted_is_not_spoken_to(https: SandboxServer, authority: Authority) -> None:
    before = len(https.requests)
    with (
        provider_at(https, authority.bundle, trusted=("10.0.0.0/8",)) as provider,
        pytest.raises(HostNotAllowedError) as caught,
    ):
        provider.discover()
    assert caught.value.host.startswith("127.0.0.1")
    assert len(https.requests) == before


CONNECT = """
import json, os
from psa.conf import psa_settings
from psa.exceptions import CertificateError
from psa.provider_pool import config_for, provider_build
given = json.loads(os.environ["CONNECTION"])
provider = provider_build(config_for(key="new", provider="connectwise", **given), "connectwise")
try:
    found = provider.discover().base_url
except CertificateError as exc:
    found = type(exc).__name__
print(json.dumps([psa_settings().CA_BUNDLE, found]))
"""


@pytest.mark.parametrize(
    ("environment", "used"),
    [
        ({"PSA_CA_BUNDLE": "ours"}, "ours"),
        ({"REQUESTS_CA_BUNDLE": "ours"}, "ours"),
        ({"PSA_CA_BUNDLE": "ours", "REQUESTS_CA_BUNDLE": "other"}, "ours"),
        ({"PSA_CA_BUNDLE": "other", "REQUESTS_CA_BUNDLE": "ours"}, "other"),
        ({}, None),
    ],
)
def test_environment_names_the_authority(
    https: SandboxServer, authority: Authority, tmp_path: Path, environment: dict[str, str], used: str | None
) -> None:
    """From the variable of the host, through its settings, to the socket."""
    bundles = {"ours": str(authority.bundle), "other": str(Authority(tmp_path, "Other CA").bundle)}
    given = {"site": ConnectWiseProvider.site_clean(https.url), "credentials": asdict(https.credentials)}
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", CONNECT],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "x" * 60,
            "PSA_ENCRYPTION_KEYS": "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=",
            "PSA_TRUSTED_HOSTS": "127.0.0.1",
            "DATABASE_URL": "sqlite://:memory:",
            "CONNECTION": json.dumps(given),
            **{name: bundles[value] for name, value in environment.items()},
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    path, found = json.loads(done.stdout)
    assert path == (bundles[used] if used else None)
    assert found == (https.api_url if used == "ours" else "CertificateError")
