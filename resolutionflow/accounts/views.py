"""Owns the page of one's own account, and the one on which an invited person chooses a password.

Signing in and out, passwords and the second factor are allauth's views with our forms and templates.
"""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from resolutionflow.accounts.invitations import invitation_accept, invitation_user
from resolutionflow.accounts.models import User
from resolutionflow.accounts.second_factor import second_factor_on


@require_safe
@never_cache
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Show who is signed in, and lead to password, second factor and API tokens."""
    is_on = second_factor_on(cast("User", request.user))
    return render(request, "account/index.html", {"second_factor_on": is_on})


@sensitive_post_parameters("new_password1", "new_password2")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, uidb64: str, token: str) -> HttpResponse:
    """Let an invited person choose a password, once; a link that is wrong, old or used is answered 404."""
    user = invitation_user(uidb64, token)
    if user is None:
        return render(request, "account/invitation.html", {"form": None}, status=404)
    form = SetPasswordForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        if invitation_accept(user, form.cleaned_data["new_password1"]):
            messages.success(request, "Your password is set. Sign in with it.")
        return redirect("account_login")
    return render(request, "account/invitation.html", {"form": form, "invited": user})
