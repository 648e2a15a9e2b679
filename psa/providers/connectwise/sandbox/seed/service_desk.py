"""Boards with their statuses, types and teams; priorities, SLAs, sources, impacts, severities."""

from __future__ import annotations

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox.seed.planting import Planter

BOARDS = (
    (1, "Help Desk", False),
    (2, "Network Operations", False),
    (3, "Security", False),
    (4, "Client Projects", True),
    (5, "Retired Desk", False),
)
"""id, name, True for a project board. The last one is inactive."""

INACTIVE_BOARDS = {5}

STATUSES: dict[int, tuple[tuple[int, str, str], ...]] = {
    1: (
        (501, "New", "default"),
        (502, "In Progress", ""),
        (503, "Waiting on Customer", ""),
        (504, "Scheduled", "no-time"),
        (505, "Escalated", ""),
        (506, "Completed", ""),
        (507, "Closed", "closed mails"),
        (508, "Old Triage", "inactive"),
    ),
    2: (
        (521, "New", "default"),
        (522, "In Progress", ""),
        (523, "Waiting on Vendor", ""),
        (524, "Resolved", "closed"),
        (525, "Closed", "closed"),
        (526, "Maintenance Freeze", "no-time"),
    ),
    3: (
        (541, "New", "default"),
        (542, "Investigating", ""),
        (543, "Contained", ""),
        (544, "Closed - False Positive", "closed"),
        (545, "Closed", "closed mails"),
    ),
    4: (
        (561, "New", "default"),
        (562, "In Progress", ""),
        (563, "Completed", "closed"),
        (564, "Closed", "closed"),
    ),
    5: ((581, "New", "default"), (582, "Closed", "closed")),
}
"""Board → statuses: id, name, marks. Equal names have other ids; "Completed" closes on board 4 only."""

TYPES: dict[int, tuple[str, ...]] = {
    1: ("Hardware", "Software", "Email", "Access"),
    2: ("Outage", "Performance", "Firewall"),
    3: ("Phishing", "Malware"),
    4: ("Project Task",),
    5: ("Legacy",),
}
SUBTYPES = ("Workstation", "Server", "Cloud")
ITEMS = ("Install", "Repair")

PRIORITIES = (
    (1, "Priority 1 - Critical", "Red", "Critical"),
    (2, "Priority 2 - High", "Orange", "High"),
    (3, "Priority 3 - Normal", "Yellow", "Medium"),
    (4, "Priority 4 - Low", "Green", "Low"),
)


def fill_service_desk(planter: Planter) -> None:
    _fill_scales(planter)
    for number, name, project in BOARDS:
        planter.add("service/boards", _board(planter, number, name, project), number)
        _fill_board(planter, number)


def _fill_scales(planter: Planter) -> None:
    for number, name, color, level in PRIORITIES:
        row: JsonObject = {
            "name": name,
            "color": color,
            "level": level,
            "sortOrder": number,
            "defaultFlag": number == 3,
            "urgencySortOrder": str(number),
        }
        planter.add("service/priorities", row, number)
    for number, name in enumerate(("Low", "Medium", "High"), start=1):
        for table in ("service/impacts", "service/severities"):
            row = {"name": name, "description": name, "defaultFlag": name == "Medium"}
            planter.add(table, row, number)
    for number, name in enumerate(("Phone", "Email", "Portal", "Monitoring", "Call"), start=1):
        planter.add("service/sources", {"name": name, "defaultFlag": name == "Phone"}, number)
    for number, (name, respond, plan, resolve) in enumerate(
        (("Standard SLA", 4.0, 8.0, 24.0), ("Gold SLA", 1.0, 2.0, 8.0)), start=1
    ):
        row = {
            "name": name,
            "basedOn": "AllHours",
            "defaultFlag": number == 1,
            "applicationOrder": number,
            "respondHours": respond,
            "respondPercent": 90,
            "planWithin": plan,
            "planWithinPercent": 90,
            "resolutionHours": resolve,
            "resolutionPercent": 90,
        }
        sla = planter.add("service/SLAs", row, number)
        for priority, *_ in PRIORITIES:
            target: JsonObject = {
                "priority": planter.ref("PriorityReference", priority),
                "sla": planter.ref("SLAReference", sla),
                "respondHours": respond * priority / 2,
                "respondPercent": 90,
                "planWithin": plan * priority / 2,
                "planWithinPercent": 90,
                "resolutionHours": resolve * priority / 2,
                "resolutionPercent": 90,
            }
            planter.add("service/SLAs/priorities", target, parents=(number,))


def _board(planter: Planter, number: int, name: str, project: bool) -> JsonObject:
    return {
        "name": name,
        "location": planter.ref("SystemLocationReference", 11),
        "department": planter.ref("SystemDepartmentReference", 10),
        "inactiveFlag": number in INACTIVE_BOARDS,
        "projectFlag": project,
        "sendToContactFlag": True,
        "sendToResourceFlag": True,
        "sendToCCFlag": False,
        "workRole": planter.ref("WorkRoleReference", 1),
        "workType": planter.ref("WorkTypeReference", 1),
        "billTime": "NoDefault",
        "billExpense": "NoDefault",
        "billProduct": "NoDefault",
        "problemSort": "Descending",
        "resolutionSort": "Descending",
        "internalAnalysisSort": "Descending",
        "allSort": "Descending",
        "serviceManagerMember": planter.ref("MemberReference", 102),
        "dispatchMember": planter.ref("MemberReference", 111),
        "notifyEmailFrom": "support@acme-msp.example",
        "notifyEmailFromName": f"Acme MSP {name}",
    }


def _fill_board(planter: Planter, board_id: int) -> None:
    board = planter.ref("BoardReference", board_id)
    parents = (board_id,)
    for order, (number, name, marks) in enumerate(STATUSES[board_id]):
        row: JsonObject = {
            "name": name,
            "board": board,
            "sortOrder": order * 10,
            "displayOnBoard": True,
            "inactive": "inactive" in marks,
            "closedStatus": "closed" in marks,
            "timeEntryNotAllowed": "no-time" in marks,
            "defaultFlag": "default" in marks,
            "roundRobinCatchall": False,
            "saveTimeAsNote": False,
            "customerPortalFlag": True,
            "escalationStatus": "Resolved" if "closed" in marks else "NoEscalation",
            "customerPortalDescription": name,
        }
        if "mails" in marks:
            row["emailTemplate"] = planter.by_name("ServiceEmailTemplateReference", "Ticket Closed")
        status = planter.add("service/boards/statuses", row, number, parents)
        if "mails" in marks:
            notification: JsonObject = {
                "notifyWho": planter.by_name("NotificationRecipientReference", "Contact"),
                "status": planter.ref("ServiceStatusReference", status),
                "workflowStep": 1,
            }
            planter.add("service/boards/statuses/notifications", notification, parents=(board_id, number))
    for offset, name in enumerate(TYPES[board_id]):
        row = {
            "name": name,
            "board": board,
            "category": "Reactive",
            "defaultFlag": offset == 0,
            "inactiveFlag": False,
            "requestForChangeFlag": False,
        }
        planter.add("service/boards/types", row, board_id * 100 + offset, parents)
    type_ids = [board_id * 100 + offset for offset in range(len(TYPES[board_id]))]
    for offset, name in enumerate(SUBTYPES):
        row = {"name": name, "board": board, "inactiveFlag": False, "typeAssociationIds": type_ids}
        planter.add("service/boards/subtypes", row, board_id * 100 + 20 + offset, parents)
    for offset, name in enumerate(ITEMS):
        row = {"name": name, "board": board, "inactiveFlag": False}
        planter.add("service/boards/items", row, board_id * 100 + 40 + offset, parents)
    row = {
        "name": "Tier 1",
        "teamLeader": planter.ref("MemberReference", 102),
        "boardId": board_id,
        "members": [103, 104, 105],
        "defaultFlag": True,
        "notifyOnTicketDelete": False,
        "locationId": 11,
        "businessUnitId": 10,
    }
    planter.add("service/boards/teams", row, board_id * 100 + 60, parents)
    _fill_combination(planter, board_id, board)


def _fill_combination(planter: Planter, board_id: int, board: JsonObject) -> None:
    first_type, subtype, item = board_id * 100, board_id * 100 + 20, board_id * 100 + 40
    combination = {
        "type": planter.ref("ServiceTypeReference", first_type),
        "subType": planter.ref("ServiceSubTypeReference", subtype),
        "item": planter.ref("ServiceItemReference", item),
        "board": board,
    }
    planter.add("service/boards/typeSubTypeItemAssociations", combination, parents=(board_id,))
    association = {
        "item": planter.ref("ServiceItemReference", item),
        "board": board,
        "subTypeAssociationIds": [subtype],
    }
    planter.add("service/boards/items/associations", association, first_type, (board_id, item))
