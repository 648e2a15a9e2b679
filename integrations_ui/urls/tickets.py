"""Owns the address a PSA links to: the sessions of one ticket."""

from django.urls import path

from integrations_ui.views import tickets

urlpatterns = [
    path("<int:connection_id>/<int:number>/", tickets.ticket_sessions, name="ticket-sessions"),
]
