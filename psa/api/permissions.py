"""Owns which role may make a call. A wrong role is answered 403 with the slug `role`."""

from __future__ import annotations

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from psa.api.scope import request_scope
from psa.exceptions import RoleError


class CanPost(BasePermission):
    """True for everyone who works on tickets."""

    message = "Your role does not work on tickets."
    code = RoleError.code

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True when the scope lets the person post."""
        return request_scope(request).can_post


class CanLead(BasePermission):
    """True for leads and admins."""

    message = "Only a lead or an admin may do this."
    code = RoleError.code

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True when the scope lets the person lead."""
        return request_scope(request).can_lead


class CanManage(BasePermission):
    """True for admins."""

    message = "Only an admin may do this."
    code = RoleError.code

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True when the scope lets the person manage connections."""
        return request_scope(request).can_manage
