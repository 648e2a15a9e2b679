"""What people paste, and where it leads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa.providers.connectwise import sites
from psa.providers.connectwise.auth import CREDENTIAL_SCHEMA
from psa.providers.connectwise.provider import ConnectWiseProvider


@pytest.mark.parametrize(
    ("pasted", "site"),
    [
        ("na.myconnectwise.net", "na.myconnectwise.net"),
        ("  NA.MyConnectWise.Net. ", "na.myconnectwise.net"),
        ("https://na.myconnectwise.net/v4_6_release/ConnectWise.aspx?routeTo=1#x", "na.myconnectwise.net"),
        ("HTTPS://api-na.myconnectwise.net/", "api-na.myconnectwise.net"),
        ("https://psa.example:8443/v4_6_release", "psa.example:8443"),
        ("https://psa.example:443", "psa.example"),
        ("psa.example:8443", "psa.example:8443"),
        ("//psa.example/x", "psa.example"),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("HTTP://PSA.example:80/", "http://psa.example"),
        ("https://[2001:DB8::1]:8443/", "[2001:db8::1]:8443"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("my_server.local", "my_server.local"),
    ],
)
def test_a_pasted_address_is_cut(pasted: str, site: str) -> None:
    assert ConnectWiseProvider.site_clean(pasted) == site
    assert ConnectWiseProvider.site_clean(site) == site


@pytest.mark.parametrize(
    "pasted",
    [
        "",
        " ",
        "https://",
        "https:///path",
        "https://user:secret@psa.example",
        "user@psa.example",
        "psa.example\\@evil.example",
        "psa .example",
        "psa.example\r\nHost: evil",
        "ftp://psa.example",
        "javascript://x",
        "psa..example",
        "-psa.example",
        "psa.example:0",
        "psa.example:99999",
        "psa.example:abc",
        "pså.example",
        "рsa.example",
        "psa。example",
        "https://[::1",
        "a" * 64 + ".example",
        ".".join(["abcdefgh"] * 40),
        "psa.example%2f",
        "[zz]",
    ],
)
def test_an_impossible_address_is_refused(pasted: str) -> None:
    with pytest.raises(ValueError) as caught:
        ConnectWiseProvider.site_clean(pasted)
    assert str(caught.value).endswith(".")
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_gives_a_plain_site_or_a_value_error(text: str) -> None:
    try:
        site = sites.site_clean(text)
    except ValueError:
        return
    assert sites.site_clean(site) == site
    assert site.isascii()
    assert "@" not in site


@pytest.mark.parametrize("zone", ["na", "eu", "au", "aus", "za"])
def test_cloud_hosts_are_swapped_for_the_api_only(zone: str) -> None:
    host = f"{zone}.myconnectwise.net"
    for site in (host, f"api-{host}"):
        assert sites.base_url(site, "v2025_1/") == f"https://api-{host}/v2025_1/apis/3.0"
        assert sites.ticket_url(site, "acme", "7").startswith(f"https://{host}/v4_6_release/services/")
        assert sites.site_identity(site) == host


def test_other_hosts_are_not_swapped() -> None:
    assert sites.base_url("staging.connectwisedev.com", "v1/").startswith("https://api-staging.")
    for site in ("sandbox-na.myconnectwise.net", "psa.example:8443", "na.myconnectwise.net.evil.example"):
        assert sites.base_url(site, "v4_6_release/") == f"https://{site}/v4_6_release/apis/3.0"
    assert sites.base_url("http://127.0.0.1:9000", "v1/") == "http://127.0.0.1:9000/v1/apis/3.0"


@pytest.mark.parametrize(
    "codebase", ["", "/", "../", "./", "a/b/", "//evil.example/", "v1/?x=", "v1#", "v 1/", "v1/../", "@evil/"]
)
def test_a_codebase_is_one_plain_segment(codebase: str) -> None:
    with pytest.raises(ValueError):
        sites.base_url("psa.example", codebase)


def test_a_company_id_cannot_leave_its_path_segment() -> None:
    assert sites.company_info_url("psa.example", "../x?y#z").endswith("/login/companyinfo/..%2Fx%3Fy%23z")


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("company_id", ["acme", "acme_msp", "Acme-1"], ["a+b", "a:b", "a b", "a/b", "a\x00"]),
        ("public_key", ["pUb1ic+/="], ["a:b", "a b", "ä", "a\nb"]),
        ("private_key", ["s3cret:+/="], ["a b", "ä", "a\tb"]),
        (
            "client_id",
            ["", "01234567-89ab-cdef-0123-456789ABCDEF"],
            ["xyz", "x1234567-89ab-cdef-0123-456789abcdef"],
        ),
    ],
)
def test_credentials_fit_what_basic_auth_can_carry(field: str, good: list[str], bad: list[str]) -> None:
    valid = {"company_id": "acme", "public_key": "x", "private_key": "y", "client_id": ""}
    for value in good:
        clean, errors = ConnectWiseProvider.credentials_clean({**valid, field: value})
        assert errors == {}
        assert clean.get(field, "") == value
    for value in bad:
        clean, errors = ConnectWiseProvider.credentials_clean({**valid, field: value})
        assert list(errors) == [field], value
        assert value not in errors[field][0]


def test_secrets_are_marked() -> None:
    assert {f.name for f in CREDENTIAL_SCHEMA if f.secret} == {"private_key", "client_id"}
    assert [f.name for f in CREDENTIAL_SCHEMA if not f.required] == ["client_id"]
