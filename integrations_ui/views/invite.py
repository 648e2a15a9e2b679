"""Owns making users of a PSA's members and inviting them. Only admins do: it lets somebody in."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from integrations_ui.access import admin_page
from integrations_ui.frame import connection_of, connection_page
from integrations_ui.sessions.tickets import away_text
from integrations_ui.views.members import FREE_PAGE
from psa import selectors
from psa.exceptions import PsaError
from psa.types import Member, Scope
from resolutionflow.accounts import invitations


@require_POST
@admin_page
def members_invite(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Name who was ticked and ask once, then make a user of each and mail them a link."""
    connection = connection_of(scope, connection_id)
    ids = list(dict.fromkeys(request.POST.getlist("member")))[:FREE_PAGE]
    back = reverse("integrations_ui:members", args=[connection_id])
    if not ids:
        messages.warning(request, "Tick the members to invite first.")
        return redirect(f"{back}#free")
    context: dict[str, Any] = {"back": back}
    try:
        if request.POST.get("sure") != "yes":
            known = {member.id: member for member in selectors.members(scope.tenant, connection_id)}
            context["chosen"] = [_named(known, member_id) for member_id in ids]
            return _page(request, scope, connection, "invite", context)
        made, left = invitations.members_invite(
            scope.tenant,
            connection_id,
            ids,
            actor=scope.actor,
            base_url=request.build_absolute_uri("/").rstrip("/"),
        )
    except (PsaError, LookupError) as exc:
        messages.error(request, f"{away_text(exc)} Nobody was invited.")
        return redirect(back)
    if made and not left and all(invitation.mailed for invitation in made):
        count = "1 person was" if len(made) == 1 else f"{len(made)} people were"
        messages.success(request, f"{count} invited by mail, and can post as soon as they have a password.")
        return redirect(back)
    return _page(request, scope, connection, "invited", context | {"made": made, "left": left})


def _named(known: dict[str, Member], member_id: str) -> Member:
    return known.get(member_id) or Member(id=member_id, identifier="", name=f"Member {member_id}")


def _page(
    request: HttpRequest, scope: Scope, connection: Any, what: str, context: dict[str, Any]
) -> HttpResponse:
    template = f"integrations_ui/members/{what}.html"
    return connection_page(
        request,
        scope,
        connection,
        "members",
        template,
        context,
        crumbs=(("Members", context["back"]), ("Invite", "")),
    )
