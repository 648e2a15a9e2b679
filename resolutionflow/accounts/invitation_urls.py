"""Owns the address an invitation leads to."""

from __future__ import annotations

from django.urls import path

from resolutionflow.accounts.views import invitation

app_name = "accounts"

urlpatterns = [path("invitation/<str:uidb64>/<str:token>/", invitation, name="invitation")]
