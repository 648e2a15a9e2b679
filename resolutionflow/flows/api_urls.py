"""Owns the addresses of flows in the REST API."""

from django.urls import path

from resolutionflow.flows.api import FlowList

urlpatterns = [path("flows/", FlowList.as_view(), name="flow-list")]
