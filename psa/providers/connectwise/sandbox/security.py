"""Rights of the API member: the rows of /system/mySecurity and what they refuse.

Enforced for the paths in GUARDS; everything else is open to any member that can log in.
"""

from __future__ import annotations

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.state import State

FULL_ROWS = (
    ("System", "My Company", "None", "None", "None", "All"),
    ("System", "Table Setup", "All", "All", "All", "All"),
    ("System", "Member Maintenance", "None", "None", "None", "All"),
    ("System", "API Reports", "None", "None", "None", "All"),
    ("System", "My Account", "All", "All", "All", "All"),
    ("Service Desk", "Service Tickets", "All", "All", "All", "All"),
    ("Service Desk", "Close Service Tickets", "All", "All", "None", "All"),
    ("Service Desk", "Service Ticket - Dependencies", "None", "All", "None", "All"),
    ("Service Desk", "Resource Scheduling", "All", "All", "None", "All"),
    ("Service Desk", "SLA Dashboard", "None", "None", "None", "All"),
    ("Service Desk", "Knowledge Base", "All", "All", "None", "All"),
    ("Project", "Project Tickets", "All", "All", "All", "All"),
    ("Project", "Project Headers", "None", "None", "None", "All"),
    ("Companies", "Company Maintenance", "All", "All", "All", "All"),
    ("Companies", "Contacts", "All", "All", "All", "All"),
    ("Companies", "Configurations", "All", "All", "All", "All"),
    ("Companies", "Configurations - Display Passwords", "None", "None", "None", "None"),
    ("Companies", "Team Members", "None", "None", "None", "All"),
    ("Companies", "Manage Attachments", "All", "All", "None", "All"),
    ("Time & Expense", "Time Entry", "All", "All", "None", "All"),
    ("Time & Expense", "Time Entry Billable Option", "All", "All", "None", "All"),
    ("Finance", "Billing View Time", "None", "All", "None", "All"),
    ("Finance", "Agreements", "None", "None", "None", "All"),
    ("Sales", "Activities", "All", "All", "None", "All"),
)
"""(module, function, add, edit, delete, inquire) that let every feature of the product work."""

GUARDS = (
    ("/service/tickets", "Service Tickets"),
    ("/project/tickets", "Project Tickets"),
    ("/project/ticketNote", "Project Tickets"),
    ("/company/companies", "Company Maintenance"),
    ("/company/contacts", "Contacts"),
    ("/company/configurations", "Configurations"),
    ("/system/callbacks", "Table Setup"),
    ("/service/boards", "Table Setup"),
    ("/system/members", "Member Maintenance"),
    ("/system/info/members", "Member Maintenance"),
    ("/time/entries", "Time Entry"),
    ("/time/sheets", "Time Entry"),
    ("/time/workTypes", "Table Setup"),
    ("/time/workRoles", "Table Setup"),
    ("/system/myCompany", "My Company"),
    ("/finance/agreements", "Agreements"),
    ("/service/knowledgeBaseArticles", "Knowledge Base"),
    ("/service/tickets/calculateSla", "SLA Dashboard"),
    ("/system/documents", "Manage Attachments"),
    ("/system/fileuploadsettings", "Table Setup"),
)

LEVELS = {
    "get": "inquireLevel",
    "post": "addLevel",
    "put": "editLevel",
    "patch": "editLevel",
    "delete": "deleteLevel",
}


def full_rows(member: JsonObject) -> list[JsonObject]:
    rows: list[JsonObject] = []
    for number, (module, function, add, edit, delete, inquire) in enumerate(FULL_ROWS, start=1):
        rows.append(
            {
                "id": number,
                "addLevel": add,
                "editLevel": edit,
                "deleteLevel": delete,
                "inquireLevel": inquire,
                "moduleFunctionName": function,
                "moduleFunctionDescription": function,
                "myAllFlag": True,
                "reportFlag": False,
                "moduleFunctionIdentifier": function.replace(" ", ""),
                "restrictFlag": False,
                "customFlag": False,
                "moduleName": module,
                "moduleDescription": module,
                "moduleIdentifier": module.replace(" ", ""),
                "sortOrder": number,
                "member": member,
            }
        )
    return rows


def security_rows(state: State, member: JsonObject) -> list[JsonObject]:
    """Rows as answered; those set from outside may name only what differs from the full set."""
    if state.settings.security is None:
        return full_rows(member)
    rows: list[JsonObject] = []
    for number, row in enumerate(state.settings.security, start=1):
        rows.append(
            {
                "id": number,
                "addLevel": "None",
                "editLevel": "None",
                "deleteLevel": "None",
                "inquireLevel": "None",
                "member": member,
                **row,
            }
        )
    return rows


def level(state: State, function: str, kind: str) -> str:
    """None, My or All; kind is addLevel, editLevel, deleteLevel or inquireLevel."""
    if state.settings.security is None:
        return "All"
    for row in state.settings.security:
        if row.get("moduleFunctionName") == function:
            return str(row.get(kind, "None"))
    return "None"


def check_access(state: State, method: str, path: str) -> None:
    """Raises: ApiError 403 when the member's rows do not allow the call."""
    if state.settings.security is None:
        return
    for prefix, function in GUARDS:
        if path == prefix or path.startswith(f"{prefix}/"):
            reads = method == "post" and path.endswith("/search")
            kind = "inquireLevel" if reads else LEVELS[method]
            if level(state, function, kind) == "None":
                raise errors.forbidden(function)


def may_close(state: State) -> bool:
    """Without this right a closing PATCH answers 200 and leaves the status as it was."""
    return level(state, "Close Service Tickets", "editLevel") != "None"
