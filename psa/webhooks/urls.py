"""Owns the addresses PSAs call; a host includes them below `/psa/webhooks/`."""

from django.urls import path

from psa.webhooks.views import receive

app_name = "psa_webhooks"

urlpatterns = [
    path("<uuid:secret_id>/", receive, name="receive"),
    # What a PSA appends to an address may become part of its path.
    path("<uuid:secret_id>/<path:rest>", receive, name="receive-below"),
    path("<uuid:secret_id>", receive, name="receive-bare"),
]
