"""Owns the addresses of the tab "Activity" of a connection."""

from django.urls import path

from integrations_ui.views import activity

urlpatterns = [
    path("<int:connection_id>/activity/", activity.activity, name="activity"),
    path("<int:connection_id>/activity/live/", activity.activity_live, name="activity-live"),
]
