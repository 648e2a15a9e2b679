"""Owns the audit page for leads and admins: who did what through the connections. It only reads."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from integrations_ui.access import lead_page
from integrations_ui.audit_rows import AuditFilter, audit_lines
from integrations_ui.paging import page_of
from psa.api.audit import csv_lines
from psa.types import Scope

PAGE_SIZE = 50


@require_safe
@lead_page
def audit(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Show the audit, the newest first."""
    form = AuditFilter(scope, request.GET)
    page = page_of(form.entries(), PAGE_SIZE, request.GET.get("page"))
    context = {
        "form": form,
        "filtered": bool(form.values),
        "page": page,
        "lines": audit_lines(scope.tenant, page),
        "query": form.query,
        "crumbs": [],
    }
    return render(request, "integrations_ui/audit/page.html", context)


@require_safe
@lead_page
def audit_csv(request: HttpRequest, scope: Scope) -> HttpResponseBase:
    """Send everything that the filters let through as CSV."""
    found = AuditFilter(scope, request.GET).entries()
    answer = StreamingHttpResponse(csv_lines(found), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="audit-{timezone.localdate():%Y-%m-%d}.csv"'
    return answer
