"""Paging, fields and order."""

from __future__ import annotations

import re

import pytest

from psa.providers.connectwise.sandbox.tests.conftest import Api


def rels(link: str) -> dict[str, int]:
    return {rel: int(page) for page, rel in re.findall(r'[?&]page=(\d+)>; rel="(\w+)"', link)}


def test_first_page_has_25_rows_and_links(api: Api) -> None:
    answer = api.get("/service/tickets")
    assert len(answer.json()) == 25
    assert rels(answer.headers["Link"]) == {"first": 1, "next": 2, "last": 3}


def test_middle_and_last_page(api: Api) -> None:
    middle = api.get("/service/tickets", pageSize=25, page=2)
    assert rels(middle.headers["Link"]) == {"first": 1, "prev": 1, "next": 3, "last": 3}
    last = api.get("/service/tickets", pageSize=25, page=3)
    assert rels(last.headers["Link"]) == {"first": 1, "prev": 2, "last": 3}
    assert len(last.json()) == 10


def test_no_link_when_all_fits(api: Api) -> None:
    assert "Link" not in api.get("/service/tickets", pageSize=100).headers


def test_page_past_the_end_is_empty(api: Api) -> None:
    answer = api.get("/service/tickets", page=99)
    assert (answer.status_code, answer.json()) == (200, [])


def test_page_size_is_cut_to_1000(api: Api) -> None:
    answer = api.get("/service/tickets", pageSize=5000)
    assert (answer.status_code, len(answer.json())) == (200, 60)


@pytest.mark.parametrize("params", [{"page": 0}, {"pageSize": "x"}, {"pageSize": -1}])
def test_senseless_numbers_are_refused(api: Api, params: dict[str, object]) -> None:
    assert api.get("/service/tickets", **params).status_code == 400


def test_link_repeats_the_query(api: Api) -> None:
    link = api.get("/service/tickets", conditions='summary contains "o"', pageSize=2).headers["Link"]
    assert "conditions=summary%20contains%20%22o%22" in link
    assert link.startswith(f"<{api.sandbox.api_url}/service/tickets?")


def test_forward_only_walk_sees_each_row_once(api: Api) -> None:
    seen: list[int] = []
    params: dict[str, object] = {"pageSize": 20}
    while True:
        answer = api.call(
            "GET", "/service/tickets", params=params, headers={"pagination-type": "forward-only"}
        )
        rows = [row["id"] for row in answer.json()]
        seen += rows
        if "Link" not in answer.headers:
            break
        params["pageId"] = rows[-1]
    assert not rows
    assert seen == sorted(set(seen))
    assert len(seen) == 60


def test_forward_only_refuses_order(api: Api) -> None:
    headers = {"pagination-type": "forward-only"}
    answer = api.call("GET", "/service/tickets", params={"orderBy": "id"}, headers=headers)
    assert answer.status_code == 400


def test_fields_cut_the_record_down(api: Api) -> None:
    (row,) = api.get("/service/tickets", pageSize=1, fields="id,status/name").json()
    assert row.keys() == {"id", "status"}
    assert row["status"].keys() == {"name"}
    (row,) = api.get("/service/tickets", pageSize=1, fields="id,_info/lastUpdated").json()
    assert row["_info"].keys() == {"lastUpdated"}
    (row,) = api.get("/service/tickets", pageSize=1, fields="*").json()
    assert row.keys() == {"id"}


def test_fields_work_on_one_record(api: Api) -> None:
    assert api.get("/service/tickets/57001", fields="id").json() == {"id": 57001}


@pytest.mark.parametrize("params", [{"fields": "colour"}, {"orderBy": "colour"}, {"orderBy": "id up"}])
def test_unknown_names_are_refused(api: Api, params: dict[str, str]) -> None:
    assert api.get("/service/tickets", **params).status_code == 400


def test_order_by_several_keys(api: Api) -> None:
    rows = api.get("/service/tickets", orderBy="board/name desc, id asc", pageSize=100).json()
    keys = [(row["board"]["name"], row["id"]) for row in rows]
    names = [name for name, _ in keys]
    assert names == sorted(names, reverse=True)
    assert keys[0][1] < keys[1][1]


def test_unknown_parameter_is_refused(api: Api) -> None:
    assert api.get("/service/tickets", filter="x").status_code == 400


def test_long_url_is_refused(api: Api) -> None:
    condition = " or ".join("id = 1" for _ in range(1200))
    assert api.get("/service/tickets", conditions=condition).status_code == 414
