"""Owns the addresses of API tokens."""

from django.urls import path

from integrations_ui.views import tokens

urlpatterns = [
    path("", tokens.tokens, name="tokens"),
    path("new/", tokens.token_new, name="token-new"),
    path("<int:token_id>/revoke/", tokens.token_revoke, name="token-revoke"),
]
