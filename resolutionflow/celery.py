"""Owns the host's Celery app: `celery -A resolutionflow worker` and `… beat`. See docs/operations.md."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resolutionflow.settings")

from django.conf import settings

from psa.celery import configure

app = configure(Celery("resolutionflow"), broker_url=settings.CELERY_BROKER_URL, queue=settings.CELERY_QUEUE)
