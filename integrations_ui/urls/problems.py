"""Owns the addresses of what is done with a whole problem."""

from django.urls import path

from integrations_ui.views import problems

urlpatterns = [
    path("problems/<int:problem_id>/retry/", problems.problem_retry, name="problem-retry"),
    path("problems/<int:problem_id>/discard/", problems.problem_discard, name="problem-discard"),
]
