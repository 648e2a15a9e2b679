"""Tests of API tokens: what is stored, who is let in, who is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from resolutionflow.accounts.models import ApiToken, User
from resolutionflow.accounts.services import LAST_USED_STEP, token_create, token_revoke, token_touch

URL = "/api/v1/flows/"


def ask(key: str, *, scheme: str = "Token") -> object:
    return APIClient().get(URL, headers={"Authorization": f"{scheme} {key}"})


def test_key_names_us_and_its_prefix(member: User) -> None:
    made = token_create(member, name="export")
    assert made.key.startswith(f"rf_{made.token.prefix}_")


def test_secret_has_256_bits_and_only_its_hash_is_stored(member: User) -> None:
    made = token_create(member, name="export")
    secret = made.key.split("_", 2)[2]
    assert len(secret) == 43
    assert secret not in str(ApiToken.objects.filter(pk=made.token.pk).values().get())


def test_token_acts_as_its_user(member: User) -> None:
    assert ask(token_create(member, name="x").key).status_code == 200


def test_scheme_is_read_without_regard_to_case(member: User) -> None:
    assert ask(token_create(member, name="x").key, scheme="token").status_code == 200


def test_no_login_is_401_with_a_challenge(db: None) -> None:
    answer = APIClient().get(URL)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Token")


@pytest.mark.parametrize("key", ["", "nonsense", "rf_00000000_" + "x" * 43, "rf_zz", "two words", "rf_é"])
def test_wrong_key_is_401(db: None, key: str) -> None:
    assert ask(key).status_code == 401


def test_right_prefix_with_wrong_secret_is_401(member: User) -> None:
    made = token_create(member, name="x")
    assert ask(f"rf_{made.token.prefix}_{'x' * 43}").status_code == 401


def test_unknown_prefix_and_wrong_secret_read_alike(member: User) -> None:
    made = token_create(member, name="x")
    wrong_secret = ask(f"rf_{made.token.prefix}_{'x' * 43}").json()
    unknown_prefix = ask(f"rf_00000000_{'x' * 43}").json()
    assert wrong_secret["detail"] == unknown_prefix["detail"]


def test_revoked_token_is_401_and_says_so(member: User) -> None:
    made = token_create(member, name="x")
    token_revoke(made.token)
    answer = ask(made.key)
    assert answer.status_code == 401
    assert "revoked" in answer.content.decode()


def test_expired_token_is_401_and_says_so(member: User) -> None:
    made = token_create(member, name="x", expires_at=timezone.now() - timedelta(seconds=1))
    answer = ask(made.key)
    assert answer.status_code == 401
    assert "expired" in answer.content.decode()


def test_token_before_its_expiry_is_let_in(member: User) -> None:
    made = token_create(member, name="x", expires_at=timezone.now() + timedelta(hours=1))
    assert ask(made.key).status_code == 200


def test_switched_off_user_is_401(member: User) -> None:
    made = token_create(member, name="x")
    User.objects.filter(pk=member.pk).update(is_active=False)
    assert ask(made.key).status_code == 401


def test_revoking_twice_keeps_the_first_time(member: User) -> None:
    token = token_create(member, name="x").token
    token_revoke(token)
    first = ApiToken.objects.get(pk=token.pk).revoked_at
    token_revoke(token)
    assert ApiToken.objects.get(pk=token.pk).revoked_at == first


def test_first_use_is_noted(member: User) -> None:
    made = token_create(member, name="x")
    ask(made.key)
    assert ApiToken.objects.get(pk=made.token.pk).last_used_at is not None


def test_use_is_noted_once_a_step(member: User) -> None:
    token = token_create(member, name="x").token
    recent = timezone.now() - LAST_USED_STEP / 2
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=recent)
    token.refresh_from_db()
    token_touch(token)
    assert ApiToken.objects.get(pk=token.pk).last_used_at == recent


@override_settings(API_TOKEN_FAILURES_PER_MINUTE=3)
def test_too_many_wrong_keys_of_one_address_are_429(member: User) -> None:
    for _ in range(3):
        assert ask("nonsense").status_code == 401
    answer = ask("nonsense")
    assert answer.status_code == 429
    assert answer["Retry-After"]


@override_settings(API_TOKEN_FAILURES_PER_MINUTE=3)
def test_right_keys_use_up_no_tries(member: User) -> None:
    key = token_create(member, name="x").key
    assert [ask(key).status_code for _ in range(6)] == [200] * 6


@override_settings(API_TOKEN_FAILURES_PER_MINUTE=1)
def test_another_address_is_not_held_up(member: User) -> None:
    ask("nonsense")
    answer = APIClient(REMOTE_ADDR="127.0.0.9").get(URL, headers={"Authorization": "Token nonsense"})
    assert answer.status_code == 401


@override_settings(API_TOKEN_FAILURES_PER_MINUTE=1)
def test_forwarded_address_is_believed_only_behind_a_counted_proxy(member: User) -> None:
    ask("nonsense")
    answer = APIClient().get(
        URL, headers={"Authorization": "Token nonsense", "X-Forwarded-For": "198.51.100.7"}
    )
    assert answer.status_code == 429


def test_signing_in_by_token_costs_one_query_and_the_note_of_its_use(
    member: User, django_assert_num_queries: object
) -> None:
    key = token_create(member, name="x").key
    ask(key)
    with django_assert_num_queries(3):  # the token with user and account; the count and the page of flows
        ask(key)
