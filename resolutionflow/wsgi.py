"""Owns the WSGI entry point: `gunicorn --no-control-socket resolutionflow.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resolutionflow.settings")

application = get_wsgi_application()
