"""Owns the addresses of signing in and out, passwords and the second factor.

Of allauth only what we have a page for: e-mail addresses are kept by an admin, and sign-up stays closed.
"""

from __future__ import annotations

from allauth.account import views
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from resolutionflow.accounts.views import account

to_sign_in = RedirectView.as_view(pattern_name="account_login")

urlpatterns = [
    path("", account, name="account_index"),
    path("login/", views.login, name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("reauthenticate/", views.reauthenticate, name="account_reauthenticate"),
    path("password/change/", views.password_change, name="account_change_password"),
    path("password/reset/", views.password_reset, name="account_reset_password"),
    path("password/reset/done/", views.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("2fa/", include("allauth.mfa.urls")),
    # allauth leads to these by name. Who has set a new password signs in with it; the others are closed.
    path("password/reset/key/done/", to_sign_in, name="account_reset_password_from_key_done"),
    path("password/set/", to_sign_in, name="account_set_password"),
    path("signup/", to_sign_in, name="account_signup"),
]
