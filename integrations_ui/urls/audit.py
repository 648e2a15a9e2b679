"""Owns the addresses of the audit."""

from django.urls import path

from integrations_ui.views import audit

urlpatterns = [
    path("", audit.audit, name="audit"),
    path("csv/", audit.audit_csv, name="audit-csv"),
]
