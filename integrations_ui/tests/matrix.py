"""Owns who may do what: every address of the site, its methods, and the least role each of them needs.

A new address needs a row here, or `test_matrix.py` fails. Everybody above the least role may do it, too. What
an outsider (an admin of another account) meets follows from the address: one with an id of ours is not found,
one without shows the outsider's own.
"""

from __future__ import annotations

_CONNECTION = "integrations/<int:connection_id>/"
_MEMBERS = f"{_CONNECTION}members/"
_RULES = f"{_CONNECTION}status-rules/"
_SETTINGS = f"{_CONNECTION}settings/"
_DELIVERY = "integrations/deliveries/<int:delivery_id>/"
_SESSION = "integrations/sessions/<int:session_id>/"

PAGES = {
    "integrations/": "GET engineer",
    "integrations/live/": "GET engineer",
    "integrations/connect/<slug:provider>/": "GET admin, POST admin",
    "integrations/connect/<slug:provider>/address/": "GET admin",
    "integrations/connect/<slug:provider>/role/": "GET engineer",
    _CONNECTION: "GET engineer",
    f"{_CONNECTION}live/": "GET engineer",
    f"{_CONNECTION}test/": "POST engineer",
    f"{_CONNECTION}permissions/": "GET engineer",
    f"{_CONNECTION}callbacks/": "GET engineer, POST admin",
    f"{_CONNECTION}callbacks/boards/": "GET admin",
    f"{_CONNECTION}callbacks/<int:callback_id>/remove/": "GET admin, POST admin",
    _SETTINGS: "GET admin",
    f"{_SETTINGS}name/": "GET admin, POST admin",
    f"{_SETTINGS}key/": "GET admin, POST admin",
    f"{_SETTINGS}move/": "GET admin, POST admin",
    f"{_SETTINGS}off/": "GET admin, POST admin",
    f"{_SETTINGS}on/": "POST admin",
    f"{_SETTINGS}delete/": "GET admin, POST admin",
    "integrations/problems/<int:problem_id>/retry/": "POST engineer",
    "integrations/problems/<int:problem_id>/discard/": "GET engineer, POST engineer",
    _MEMBERS: "GET engineer",
    f"{_MEMBERS}plan/": "GET engineer",
    f"{_MEMBERS}free/": "GET engineer",
    f"{_MEMBERS}match/": "POST lead",
    f"{_MEMBERS}news/": "POST lead",
    f"{_MEMBERS}invite/": "POST admin",
    f"{_MEMBERS}<int:user_id>/": "GET lead, POST lead",
    f"{_MEMBERS}<int:user_id>/clear/": "GET lead, POST lead",
    _RULES: "GET engineer",
    f"{_RULES}boards/": "GET engineer",
    f"{_RULES}refresh/": "POST lead",
    f"{_RULES}board/<str:board_id>/": "GET lead, POST lead",
    f"{_RULES}board/<str:board_id>/warnings/": "GET lead",
    f"{_RULES}board/<str:board_id>/clear/": "GET lead, POST lead",
    f"{_CONNECTION}activity/": "GET engineer",
    f"{_CONNECTION}activity/live/": "GET engineer",
    _DELIVERY: "GET engineer",
    f"{_DELIVERY}live/": "GET engineer",
    f"{_DELIVERY}attempts/": "GET engineer",
    f"{_DELIVERY}retry/": "POST engineer",
    f"{_DELIVERY}edit/": "GET engineer, POST engineer",
    f"{_DELIVERY}discard/": "GET engineer, POST engineer",
    f"{_DELIVERY}hide/": "GET engineer, POST engineer",
    f"{_DELIVERY}correct/": "GET engineer, POST engineer",
    f"{_DELIVERY}remove/": "GET engineer, POST engineer",
    f"{_DELIVERY}remove-extra/": "GET engineer, POST engineer",
    f"{_DELIVERY}move/": "GET engineer",
    f"{_DELIVERY}move/<int:connection_id>/<int:number>/": "GET engineer, POST engineer",
    "integrations/audit/": "GET lead",
    "integrations/audit/csv/": "GET lead",
    "integrations/tokens/": "GET engineer",
    "integrations/tokens/new/": "GET engineer, POST engineer",
    "integrations/tokens/<int:token_id>/revoke/": "GET engineer, POST engineer",
    "integrations/sessions/": "GET engineer",
    "integrations/sessions/new/": "GET engineer, POST engineer",
    _SESSION: "GET engineer, POST engineer",
    f"{_SESSION}edit/": "GET engineer, POST engineer",
    f"{_SESSION}ticket/": "GET engineer",
    f"{_SESSION}ticket/now/": "GET engineer",
    f"{_SESSION}ticket/unlink/": "GET engineer, POST engineer",
    f"{_SESSION}ticket/<int:connection_id>/<int:number>/": "GET engineer, POST engineer",
    f"{_SESSION}note/": "GET engineer, POST engineer",
    f"{_SESSION}complete/": "GET engineer, POST engineer",
    f"{_SESSION}complete/statuses/": "GET engineer",
    f"{_SESSION}pause/": "POST engineer",
    f"{_SESSION}attach/": "POST engineer",
    f"{_SESSION}resume/": "POST engineer",
    f"{_SESSION}files/": "GET engineer",
    f"{_SESSION}files/<str:document_id>/": "GET engineer",
    f"{_SESSION}context/": "GET engineer, POST engineer",
    f"{_SESSION}flow/": "POST engineer",
    f"{_SESSION}complete/time/": "GET engineer",
    f"{_SESSION}deliveries/": "GET engineer",
    "integrations/suggestions/": "GET engineer",
    "integrations/suggestions/<int:suggestion_id>/accept/": "POST engineer",
    "integrations/suggestions/<int:suggestion_id>/dismiss/": "POST engineer",
    "integrations/suggestions/<int:suggestion_id>/restore/": "POST engineer",
    "integrations/tickets/<int:connection_id>/<int:number>/": "GET engineer, POST engineer",
}
"""Pages: nobody is sent to the sign-in page, the wrong role gets the 403 page."""

_API = "api/v1/"
_API_CONNECTION = f"{_API}connections/<int:connection_id>/"
_API_DELIVERY = f"{_API}deliveries/<int:delivery_id>/"
_API_SESSION = f"{_API}sessions/<int:session_id>/"

CALLS = {
    f"{_API}providers/": "GET engineer",
    f"{_API}connections/": "GET engineer, POST admin",
    _API_CONNECTION: "GET engineer, PATCH admin, DELETE admin",
    f"{_API_CONNECTION}test/": "POST engineer",
    f"{_API_CONNECTION}tickets/": "GET engineer",
    f"{_API_CONNECTION}tickets/<str:ticket_id>/context/": "GET engineer",
    f"{_API_CONNECTION}boards/": "GET engineer",
    f"{_API_CONNECTION}boards/<str:board_id>/statuses/": "GET engineer",
    f"{_API_CONNECTION}members/": "GET engineer, PUT lead",
    f"{_API_CONNECTION}members/match/": "POST lead",
    f"{_API_CONNECTION}status-rules/": "GET engineer, PUT lead",
    f"{_API_CONNECTION}callbacks/": "GET engineer, POST admin",
    f"{_API_CONNECTION}callbacks/<int:callback_id>/": "DELETE admin",
    f"{_API}units/<int:unit_id>/": "GET engineer",
    f"{_API}deliveries/": "GET engineer",
    _API_DELIVERY: "GET engineer, PATCH engineer",
    f"{_API_DELIVERY}retry/": "POST engineer",
    f"{_API_DELIVERY}discard/": "POST engineer",
    f"{_API_DELIVERY}correct/": "POST engineer",
    f"{_API_DELIVERY}remove-double/": "POST engineer",
    f"{_API}audit/": "GET lead",
    f"{_API}problems/": "GET engineer",
    f"{_API}problems/<int:problem_id>/retry/": "POST engineer",
    f"{_API}problems/<int:problem_id>/discard/": "POST engineer",
    f"{_API}flows/": "GET engineer, POST engineer",
    f"{_API}sessions/": "GET engineer, POST engineer",
    _API_SESSION: "GET engineer, PATCH engineer",
    f"{_API_SESSION}steps/": "POST engineer",
    f"{_API_SESSION}pause/": "POST engineer",
    f"{_API_SESSION}resume/": "POST engineer",
    f"{_API_SESSION}ticket/": "PUT engineer, DELETE engineer",
    f"{_API_SESSION}documentation/": "GET engineer",
    f"{_API_SESSION}notes/": "POST engineer",
    f"{_API_SESSION}status/": "POST engineer",
    f"{_API_SESSION}complete/": "POST engineer",
    f"{_API_SESSION}time/": "GET engineer, POST engineer",
    f"{_API_SESSION}export/": "POST engineer",
    f"{_API_SESSION}documents/": "GET engineer",
    f"{_API_SESSION}documents/<str:document_id>/": "GET engineer",
    f"{_API_SESSION}context/": "GET engineer",
    f"{_API}flowpilot/schema/": "GET engineer",
    f"{_API_SESSION}suggestions/": "GET engineer",
    f"{_API}suggestions/": "GET engineer",
    f"{_API}suggestions/<int:suggestion_id>/accept/": "POST engineer",
    f"{_API}suggestions/<int:suggestion_id>/dismiss/": "POST engineer",
    f"{_API}suggestions/<int:suggestion_id>/restore/": "POST engineer",
}
"""Calls of the REST API: nobody gets 401, the wrong role 403, both as problem details."""

PUBLIC = {
    "": "GET 302",
    "favicon.ico": "GET 302",
    "api/schema/": "GET 200",
    "api/docs/": "GET 200",
    "healthz": "GET 200",
    "readyz": "GET 503",
    "metrics": "GET 404",
    "^api/": "GET 404",
}
"""Addresses without a sign-in, with what they answer where no worker runs and no token for metrics is set."""

BODIES: dict[str, object] = {
    f"{_API_CONNECTION}callbacks/": {"level": "owner"},
    f"{_API_CONNECTION}members/": [],
    f"{_API_CONNECTION}status-rules/": [],
    _API_DELIVERY: {"text": "Restarted it."},
    f"{_API_DELIVERY}correct/": {"hide": True},
    f"{_API_SESSION}steps/": {"body": "Restarted it."},
    f"{_API_SESSION}ticket/": {"connection": 1, "ticket_id": "1"},
    f"{_API_SESSION}notes/": {"kind": "analysis"},
    f"{_API_SESSION}status/": {"status": "1"},
    f"{_API_SESSION}complete/": {"outcome": "cancelled"},
    f"{_API_SESSION}time/": {"start": "2026-03-02T14:00Z", "end": "2026-03-02T14:30Z"},
}
"""What is sent to a call that reads its body first; `connection` and `ticket_id` become the ids of ours."""

PREFIXES = {
    "psa/webhooks/": "messages of PSAs: judged by secret address and signature, see psa/webhooks/tests",
    "admin/": "Django admin: staff only",
    "accounts/": "sign-in, password and second factor: about nobody but the person themselves",
}
"""Whole groups that come with their own rules, looked at as groups."""

DELIVERED = frozenset(
    {
        f"{_DELIVERY}hide/",
        f"{_DELIVERY}correct/",
        f"{_DELIVERY}remove/",
        f"{_DELIVERY}remove-extra/",
        f"{_DELIVERY}move/",
        f"{_DELIVERY}move/<int:connection_id>/<int:number>/",
        f"{_API_DELIVERY}correct/",
        f"{_API_DELIVERY}remove-double/",
    }
)
"""Addresses that take back what is on a ticket; the others are tried with a delivery that needs a person."""
