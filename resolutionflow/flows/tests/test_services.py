"""Tests of making and reading flows."""

from __future__ import annotations

import pytest

from psa.exceptions import InvalidInputError, MissingError
from resolutionflow.accounts.models import Account, User
from resolutionflow.flows import selectors
from resolutionflow.flows.models import Flow, FlowStep
from resolutionflow.flows.services import STEPS_MAX, StepDraft, flow_create, keywords_clean


def test_steps_are_numbered_in_their_order(account: Account) -> None:
    flow = flow_create(account, title="x", steps=[StepDraft("a"), StepDraft("b")])
    assert list(flow.steps.values_list("position", "title")) == [(1, "a"), (2, "b")]


def test_keywords_are_lower_case_and_once() -> None:
    assert keywords_clean([" VPN", "vpn", "", "Tunnel "]) == ["vpn", "tunnel"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"title": "  "}, "title"),
        ({"title": "x", "steps": [StepDraft(" ")]}, "steps"),
        ({"title": "x", "steps": [StepDraft("y")] * (STEPS_MAX + 1)}, "steps"),
        ({"title": "x", "keywords": ["y"] * 51}, "keywords"),
        ({"title": "x", "keywords": ["y" * 51]}, "keywords"),
    ],
)
def test_wrong_input_names_the_field(account: Account, given: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        flow_create(account, **given)
    assert list(caught.value.fields) == [field]


def test_failed_flow_leaves_nothing(account: Account) -> None:
    with pytest.raises(InvalidInputError):
        flow_create(account, title="x", steps=[StepDraft("good"), StepDraft(" ")])
    assert (Flow.objects.count(), FlowStep.objects.count()) == (0, 0)


def test_flow_of_another_account_is_missing(account: Account, outsider: User) -> None:
    flow = flow_create(account, title="x")
    with pytest.raises(MissingError):
        selectors.flow_get(outsider.membership.account, flow.pk)


def test_flow_of_the_own_account_is_found(account: Account) -> None:
    flow = flow_create(account, title="x")
    assert selectors.flow_get(account, flow.pk) == flow
