"""Owns the page that shows which callbacks of the PSA arrive for a connection."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from integrations_ui.access import member_page
from integrations_ui.frame import connection_of, connection_page
from integrations_ui.wording import CALLBACK_STATES
from psa.types import Scope


@require_safe
@member_page
def callbacks(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Show what is registered, and when it was last heard of."""
    connection = connection_of(scope, connection_id)
    found = connection.callbacks.exclude(state="removed")
    rows = [(row, *CALLBACK_STATES[row.state]) for row in found]
    template = "integrations_ui/connections/callbacks.html"
    return connection_page(request, scope, connection, "callbacks", template, {"rows": rows})
