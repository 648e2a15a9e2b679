"""Which handler serves which operation; the only list of operations that are not generic.

A new operation of the reference is served by shape alone (list, count, read, create, …). Enter it in
SPECIAL when it does something of its own, and its table in BEHAVIOURS when writes have rules.
"""

from __future__ import annotations

from collections.abc import Callable

from psa.providers.connectwise.reference import Operation
from psa.providers.connectwise.sandbox import (
    boards,
    configurations,
    customers,
    documents,
    identity,
    time_entries,
)
from psa.providers.connectwise.sandbox import ticket_actions as actions
from psa.providers.connectwise.sandbox.behaviour import Call
from psa.providers.connectwise.sandbox.callbacks import CallbackBehaviourRules
from psa.providers.connectwise.sandbox.notes import NoteBehaviour
from psa.providers.connectwise.sandbox.resources import (
    BEHAVIOURS,
    handle_count,
    handle_create,
    handle_delete,
    handle_list,
    handle_patch,
    handle_read,
    handle_replace,
    handle_search,
)
from psa.providers.connectwise.sandbox.tickets import TicketBehaviour
from psa.providers.connectwise.sandbox.wire import Response

Handler = Callable[[Call], Response]

BEHAVIOURS.update(
    {
        "service/tickets": TicketBehaviour(project=False),
        "project/tickets": TicketBehaviour(project=True),
        "service/tickets/notes": NoteBehaviour("service/tickets"),
        "project/tickets/notes": NoteBehaviour("project/tickets"),
        "service/boards/statuses": boards.StatusBehaviour(),
        "company/companies": customers.CompanyBehaviour(),
        "company/companies/typeAssociations": customers.AssociationBehaviour(),
        "company/contacts": customers.ContactBehaviour(),
        "company/contacts/communications": customers.CommunicationBehaviour(),
        "company/contacts/typeAssociations": customers.AssociationBehaviour(),
        "company/configurations": configurations.ConfigurationBehaviour(),
        "system/members": identity.MemberBehaviour(),
        "system/callbacks": CallbackBehaviourRules(),
        "time/entries": time_entries.TimeEntryBehaviour(),
    }
)

SPECIAL: dict[tuple[str, str], Handler] = {
    ("post", "/company/companies/{id}/merge"): customers.merge_company,
    ("get", "/company/companies/default"): customers.default_company,
    ("get", "/company/contacts/default"): customers.default_contact,
    ("get", "/company/contacts/{id}/image"): customers.image,
    ("get", "/company/contacts/{id}/portalSecurity"): customers.portal_security,
    ("post", "/company/contacts/requestPassword"): customers.request_password,
    ("post", "/company/contacts/validatePortalCredentials"): customers.validate_portal,
    ("post", "/company/configurations/bulk"): configurations.bulk_create,
    ("put", "/company/configurations/bulk"): configurations.bulk_replace,
    ("delete", "/company/configurations/bulk"): configurations.bulk_delete,
    ("patch", "/company/configurations/{id}/changeType"): configurations.change_type,
    ("post", "/project/ticketNote/{id}/markAs/"): actions.mark_note_as,
    ("get", "/project/tickets/{parentId}/allNotes"): actions.list_all_notes,
    ("post", "/project/tickets/{parentId}/convert"): actions.convert_from_project,
    ("post", "/service/boards/copy"): boards.copy_board,
    ("get", "/service/priorities/{id}/image"): customers.image,
    ("get", "/service/tickets/calculateSla"): actions.calculate_sla,
    ("delete", "/service/tickets/changelogs"): actions.clear_change_log,
    ("post", "/service/tickets/{id}/copy"): actions.copy_ticket,
    ("get", "/service/tickets/{parentId}/allNotes"): actions.list_all_notes,
    ("post", "/service/tickets/{parentId}/attachChildren"): actions.attach_children,
    ("post", "/service/tickets/{parentId}/convert"): actions.convert_to_project,
    ("post", "/service/tickets/{parentId}/merge"): actions.merge_tickets,
    ("get", "/service/tickets/{parentId}/notes"): actions.list_notes,
    ("get", "/service/tickets/{parentId}/notes/count"): actions.count_notes,
    ("get", "/system/documents"): documents.list_documents,
    ("post", "/system/documents"): documents.upload,
    ("get", "/system/documents/count"): documents.count_documents,
    ("delete", "/system/documents/{id}"): documents.remove,
    ("get", "/system/documents/{id}/download"): documents.download,
    ("get", "/system/info"): identity.system_info,
    ("post", "/system/members/{id}/deactivate"): identity.deactivate,
    ("get", "/system/members/{id}/image"): customers.image,
    ("post", "/system/members/{memberIdentifier}/tokens"): identity.issue_token,
    ("get", "/system/myMembers"): identity.my_member,
    ("get", "/system/myMembers/info"): identity.my_member_info,
    ("get", "/system/mySecurity"): identity.my_security,
    ("delete", "/time/entries/{id}"): time_entries.delete_entry,
}

for _base in ("/service/tickets/{parentId}", "/project/tickets/{parentId}"):
    SPECIAL[("get", f"{_base}/configurations")] = configurations.list_attached
    SPECIAL[("get", f"{_base}/configurations/count")] = configurations.count_attached
    SPECIAL[("get", f"{_base}/configurations/{{id}}")] = configurations.read_attached
    SPECIAL[("post", f"{_base}/configurations")] = configurations.attach
    SPECIAL[("delete", f"{_base}/configurations/{{id}}")] = configurations.detach


def handler_of(operation: Operation) -> Handler | None:
    """The handler of an operation; None when neither its shape nor SPECIAL tells one."""
    special = SPECIAL.get((operation.method, operation.path))
    if special is not None:
        return special
    path = operation.path.rstrip("/")
    if path.endswith("/usages"):
        return boards.usages
    if path.endswith("/usages/list"):
        return boards.usages_list
    if operation.method == "get":
        if path.endswith("/count"):
            return handle_count
        if operation.answers_list:
            return handle_list
        return handle_read if "id" in operation.path_params else None
    if operation.method == "post":
        if path.endswith("/search"):
            return handle_search
        return handle_create if operation.status == 201 else None
    if "id" not in operation.path_params:
        return None
    return {"put": handle_replace, "patch": handle_patch, "delete": handle_delete}[operation.method]
