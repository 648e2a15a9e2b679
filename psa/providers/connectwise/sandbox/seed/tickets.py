"""Service and project tickets with notes, devices and time entry notes."""

from __future__ import annotations

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox.seed.planting import Planter, at
from psa.providers.connectwise.sandbox.store import Record
from psa.providers.connectwise.sandbox.tickets import closes

SUMMARIES = (
    (1, "Outlook keeps asking for a password"),
    (1, "Printer on second floor offline"),
    (2, "Site-to-site VPN drops every hour"),
    (1, "New laptop for starter on Monday"),
    (3, "Suspicious mail with invoice attachment"),
    (1, "Shared drive not reachable"),
    (2, "Core switch reports high temperature"),
    (1, "Excel crashes when opening budget"),
    (1, "Teams calls without sound"),
    (3, "MFA prompts at night, user did not log in"),
    (2, "Backup of file server failed"),
    (1, "Phone does not ring at reception"),
)
STATUS_NAMES: dict[int, tuple[str, ...]] = {
    1: ("New", "In Progress", "Waiting on Customer", "Closed"),
    2: ("New", "In Progress", "Waiting on Vendor", "Resolved"),
    3: ("New", "Investigating", "Contained", "Closed"),
}
TICKETS = 60
OWNERS = (103, 104, 105, 106, 108, 109)

ISSUES = (
    "Mailboxes of wave 2 migrated",
    "DNS cut-over plan",
    "Train front office",
    "Order switches",
    "Cabling survey",
    "Wi-Fi design review",
    "License count",
    "Handover document",
)

ANALYSIS = (
    "Checked the event log: repeated 0x8004010F. Profile rebuilt, waiting for feedback.",
    "Reproduced on a second machine, so not the user's profile. Escalating \U0001f50d",
    "Vendor case opened. Next look tomorrow 9:00.",
)


def fill_tickets(planter: Planter) -> None:
    companies = [r for r in planter.state.store.table("company/companies").of(()) if r.id > 1]
    for number in range(TICKETS):
        _add_ticket(planter, number, companies[number % len(companies)])
    for number, summary in enumerate(ISSUES):
        _add_project_ticket(planter, number, summary, companies[number % 3])
    log = planter.state.store.table("service/tickets/changelogs")
    for row in log.of(())[10:]:
        log.remove(row)


def _add_ticket(planter: Planter, number: int, company: Record) -> None:
    board, summary = SUMMARIES[number % len(SUMMARIES)]
    hours = number * 3.0
    owner = OWNERS[number % len(OWNERS)]
    status = STATUS_NAMES[board][number % 4]
    body: JsonObject = {
        "summary": summary,
        "company": {"id": company.id},
        "board": {"id": board},
        "status": {"name": status},
        "priority": {"id": 1 + number % 4},
        "type": {"id": board * 100},
        "subType": {"id": board * 100 + 20},
        "item": {"id": board * 100 + 40},
        "source": {"id": 1 + number % 4},
        "team": {"name": "Tier 1"},
        "owner": {"id": owner},
        "automaticEmailContactFlag": number % 3 == 0,
        "initialDescription": f"{summary}. Started this morning, please help.",
        "sla": {"id": 1 + number % 2},
    }
    ticket = planter.post("/service/tickets", body, hours=hours, member_id=111)
    identifier = planter.state.member(owner).data["identifier"]
    data = dict(ticket.data)
    if closes(planter.state, data):
        data.update(closedDate=at(hours + 5), closedBy=identifier)
    planter.state.store.table("service/tickets").put(ticket, data)
    _add_notes(planter, ticket, number, owner, hours)
    if number % 2 == 0:
        _attach_devices(planter, ticket, company, 1 + number % 3)


def _attach_devices(planter: Planter, ticket: Record, company: Record, count: int) -> None:
    devices = planter.state.store.table("company/configurations").rows.values()
    own = [d.id for d in devices if d.data["company"]["id"] == company.id]
    planter.state.attached[ticket.id] = own[:count]


def _add_notes(planter: Planter, ticket: Record, number: int, owner: int, hours: float) -> None:
    path = "/service/tickets/{parentId}/notes"
    texts = ANALYSIS[: number % 3 + 1]
    for offset, text in enumerate(texts, start=1):
        body = {"text": text, "internalAnalysisFlag": True}
        planter.post(path, body, (ticket.id,), hours + offset, owner)
    if ticket.data["closedFlag"]:
        body = {"text": "Fixed and confirmed with the user.", "resolutionFlag": True}
        planter.post(path, body, (ticket.id,), hours + 5, owner)
    if number % 5 == 0:
        _add_customer_note(planter, ticket, hours)
    if number % 4 == 0:
        _add_time_note(planter, ticket, number, owner, hours)


def _add_customer_note(planter: Planter, ticket: Record, hours: float) -> None:
    contact = ticket.data.get("contact")
    if contact is None:
        return
    body = {
        "text": "Any news? It is getting urgent.",
        "detailDescriptionFlag": True,
        "contact": {"id": contact["id"]},
    }
    planter.post("/service/tickets/{parentId}/notes", body, (ticket.id,), hours + 4)


def _add_time_note(planter: Planter, ticket: Record, number: int, owner: int, hours: float) -> None:
    """A note that came with a time entry: in allNotes only."""
    member = planter.ref("MemberReference", owner)
    row: JsonObject = {
        "noteType": "TimeEntryNote",
        "ticket": planter.ref("TicketReference", ticket),
        "text": "Remote session with the user, cleared the credential cache.",
        "isMarkdownFlag": False,
        "detailDescriptionFlag": False,
        "internalAnalysisFlag": True,
        "resolutionFlag": False,
        "timeStart": at(hours + 2),
        "timeEnd": at(hours + 2.5),
        "bundledFlag": False,
        "mergedFlag": False,
        "issueFlag": False,
        "originalAuthor": member["name"],
        "createdByParentFlag": False,
        "member": member,
    }
    planter.add("timeNotes", row, 900_001 + number, (ticket.id,), hours + 2.5)
    planter.add("service/tickets/timeentries", {}, 90_001 + number, (ticket.id,), hours + 2.5)


def _add_project_ticket(planter: Planter, number: int, summary: str, company: Record) -> None:
    phase = 1 + number % 3
    ticket = planter.post(
        "/project/tickets",
        {
            "summary": summary,
            "company": {"id": company.id},
            "phase": {"id": phase},
            "project": {"id": 1 + number % 2},
            "isIssueFlag": number % 4 == 3,
            "wbsCode": f"{phase}.{number + 1}",
            "priority": {"id": 3},
            "owner": {"id": 110},
            "initialDescription": f"{summary}: see project plan.",
        },
        hours=number * 8.0,
        member_id=110,
    )
    note = {"text": "Agreed with the customer in the weekly call.", "internalAnalysisFlag": True}
    planter.post("/project/tickets/{parentId}/notes", note, (ticket.id,), number * 8.0 + 1, 110)
    _attach_devices(planter, ticket, company, 1)
