"""Owns the view that accepting a note is measured against."""

from __future__ import annotations

from rest_framework import serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.yardstick.models import PlainNote
from psa.api.permissions import CanPost


class PlainNoteSerializer(serializers.ModelSerializer[PlainNote]):
    """One text."""

    class Meta:
        model = PlainNote
        fields = ["id", "text", "created_at"]


class PlainNotes(APIView):
    """The least a DRF view can do: it authenticates as the host does, and inserts one row."""

    permission_classes = [IsAuthenticated, CanPost]

    def post(self, request: Request) -> Response:
        """Insert a row."""
        body = PlainNoteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        body.save()
        return Response(body.data, status.HTTP_201_CREATED)
