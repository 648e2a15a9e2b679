"""Owns the addresses of what an AI gets."""

from django.urls import path

from resolutionflow.flowpilot import api

urlpatterns = [
    path("sessions/<int:session_id>/context/", api.SessionContext.as_view(), name="session-context"),
    path("flowpilot/schema/", api.BundleSchema.as_view(), name="flowpilot-schema"),
]
