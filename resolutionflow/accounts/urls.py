"""Owns the addresses of signing in and out. Of allauth only what we have a page for; sign-up stays closed."""

from __future__ import annotations

from allauth.account import views
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("login/", views.login, name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("reauthenticate/", views.reauthenticate, name="account_reauthenticate"),
    path("password/change/", views.password_change, name="account_change_password"),
    path("2fa/", include("allauth.mfa.urls")),
    # allauth links to these by name; both are closed here.
    path("signup/", RedirectView.as_view(pattern_name="account_login"), name="account_signup"),
    path(
        "password/reset/", RedirectView.as_view(pattern_name="account_login"), name="account_reset_password"
    ),
]
