"""Owns the addresses of the pages."""

from django.urls import path

from integrations_ui import views

app_name = "integrations_ui"

urlpatterns = [path("", views.connection_list, name="connections")]
