"""The ranking: words, rules, what was chosen before, and reasons a person understands."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from resolutionflow.suggestions.evaluation import evaluate, labelled
from resolutionflow.suggestions.ranking import FlowText, TicketText, rank, stems

OUTLOOK = FlowText(
    1, "Outlook keeps asking for a password", ("outlook", "password", "sign-in"), steps=("Clear credentials",)
)
PRINTER = FlowText(2, "Printer does not print", ("printer", "spooler", "toner"))
VPN = FlowText(3, "VPN drops", ("vpn", "tunnel"))
FLOWS = [OUTLOOK, PRINTER, VPN]


def first(ticket: TicketText, flows: list[FlowText] = FLOWS) -> int | None:
    found = rank(ticket, flows)
    return found[0].flow_id if found else None


def test_forms_of_a_word_are_one() -> None:
    assert stems("Printing prints printed") == ["print"]
    assert first(TicketText("Cannot print invoices")) == 2
    assert first(TicketText("User is prompted for passwords")) == 1


def test_parts_of_a_word_with_a_hyphen_are_found() -> None:
    assert "sign" in stems("sign-in")
    assert first(TicketText("trouble signing in to mail")) == 1


def test_description_type_and_devices_help_where_the_summary_says_nothing() -> None:
    vague = "Please call me back urgently"
    assert rank(TicketText(vague), FLOWS) == []
    assert first(TicketText(vague, description="the VPN tunnel is down")) == 3
    assert first(TicketText(vague, type="Printer", subtype="Toner")) == 2
    assert first(TicketText(vague, devices=["Printer ACME-PRN-01 spooler"])) == 2


def test_a_flow_of_another_board_or_type_is_left_out() -> None:
    bound = [FlowText(4, "VPN drops", ("vpn",), boards=("Network",)), VPN]
    assert first(TicketText("VPN down", board="network"), bound) == 4
    assert first(TicketText("VPN down", board="Help Desk"), bound) == 3
    typed = [FlowText(5, "VPN drops", ("vpn",), types=("Outage/Line",)), PRINTER]
    assert first(TicketText("VPN down", type="Outage", subtype="Line"), typed) == 5
    assert first(TicketText("VPN down", type="Outage", subtype="Other"), typed) is None
    [top, *_] = rank(TicketText("VPN down", board="Network"), bound)
    assert top.reasons[0] == "Made for the board Network."


def test_what_it_solved_before_counts() -> None:
    ticket = TicketText("Labels come out blank on the Zebra")
    assert rank(ticket, FLOWS) == []
    learned = [
        OUTLOOK,
        FlowText(2, PRINTER.title, PRINTER.keywords, solved=("Zebra prints blank labels",)),
        VPN,
    ]
    [top] = rank(ticket, learned)
    assert (top.flow_id, top.reasons) == (2, ("It solved a similar ticket.",))


def test_a_flow_that_was_dismissed_for_similar_tickets_falls_back() -> None:
    twin = FlowText(6, "Printer is offline", ("printer",))
    ticket = TicketText("Printer on second floor offline")
    assert first(ticket, [*FLOWS, twin]) == 6
    dismissed = FlowText(6, twin.title, twin.keywords, dismissed=("Printer on first floor offline",) * 2)
    assert first(ticket, [*FLOWS, dismissed]) == 2
    other = FlowText(6, twin.title, twin.keywords, dismissed=("VPN token expired",) * 5)
    assert first(ticket, [*FLOWS, other]) == 6


def test_reasons_name_the_words_of_the_ticket() -> None:
    [top, *_] = rank(TicketText("Outlook asks for passwords"), FLOWS)
    assert "outlook" in top.reasons[0].casefold()
    assert "passwords" in top.reasons[0].casefold()
    assert top.reasons[0].endswith(".")


def test_nothing_fits_nothing() -> None:
    assert rank(TicketText(""), FLOWS) == []
    assert rank(TicketText("Lunch"), FLOWS) == []
    assert rank(TicketText("Printer"), []) == []


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_ranked(summary: str, title: str) -> None:
    found = rank(TicketText(summary, description=title), [FlowText(1, title, (summary,)), *FLOWS])
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(one.reasons for one in found)


def test_a_huge_description_takes_no_time() -> None:
    assert first(TicketText("printer", description="word " * 200_000)) == 2


def test_the_evaluation_set_is_large_enough_and_clean() -> None:
    found = labelled()
    keys = [flow["key"] for flow in found["flows"]]
    assert len(keys) == len(set(keys)) == 20
    assert len(found["tickets"]) >= 100
    assert {ticket["flow"] for ticket in found["tickets"]} == set(keys)
    said = [(ticket["summary"], ticket["description"]) for ticket in found["tickets"]]
    assert len(said) == len(set(said))


def test_the_ranking_beats_a_plain_count_of_keywords(capsys: pytest.CaptureFixture[str]) -> None:
    plain, ranked, learned = evaluate()
    assert ranked.top1 >= plain.top1 + 0.05
    assert ranked.top3 >= plain.top3 + 0.05
    assert ranked.top1 >= 0.75
    assert learned.top3 >= ranked.top3
    call_command("suggestions_evaluate")
    assert "keyword count" in capsys.readouterr().out


def test_endless_words_are_neither_compared_nor_kept() -> None:
    assert stems(f"printer {'x' * 100_000} {'a.' * 50_000}") == ["printer"]
