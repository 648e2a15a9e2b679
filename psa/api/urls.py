"""Owns the addresses of the API; a host includes them below `/api/v1/`."""

from __future__ import annotations

from django.urls import path

from psa.api import (
    audit,
    callbacks,
    connections,
    context,
    corrections,
    deliveries,
    members,
    problem_groups,
    status_rules,
    tickets,
)

app_name = "psa_api"

urlpatterns = [
    path("providers/", connections.ProviderList.as_view(), name="provider-list"),
    path("connections/", connections.ConnectionList.as_view(), name="connection-list"),
    path(
        "connections/<int:connection_id>/", connections.ConnectionDetail.as_view(), name="connection-detail"
    ),
    path(
        "connections/<int:connection_id>/test/", connections.ConnectionTest.as_view(), name="connection-test"
    ),
    path("connections/<int:connection_id>/tickets/", tickets.TicketSearch.as_view(), name="ticket-search"),
    path(
        "connections/<int:connection_id>/tickets/<str:ticket_id>/context/",
        context.TicketContextRead.as_view(),
        name="ticket-context",
    ),
    path("connections/<int:connection_id>/boards/", tickets.BoardList.as_view(), name="board-list"),
    path(
        "connections/<int:connection_id>/boards/<str:board_id>/statuses/",
        tickets.StatusList.as_view(),
        name="status-list",
    ),
    path(
        "connections/<int:connection_id>/members/", members.MemberMappings.as_view(), name="member-mappings"
    ),
    path(
        "connections/<int:connection_id>/members/match/", members.MemberMatch.as_view(), name="member-match"
    ),
    path(
        "connections/<int:connection_id>/status-rules/",
        status_rules.StatusRules.as_view(),
        name="status-rules",
    ),
    path(
        "connections/<int:connection_id>/callbacks/", callbacks.CallbackList.as_view(), name="callback-list"
    ),
    path(
        "connections/<int:connection_id>/callbacks/<int:callback_id>/",
        callbacks.CallbackDetail.as_view(),
        name="callback-detail",
    ),
    path("units/<int:unit_id>/", deliveries.UnitDetail.as_view(), name="unit-detail"),
    path("deliveries/", deliveries.DeliveryList.as_view(), name="delivery-list"),
    path("deliveries/<int:delivery_id>/", deliveries.DeliveryDetail.as_view(), name="delivery-detail"),
    path("deliveries/<int:delivery_id>/retry/", deliveries.DeliveryRetry.as_view(), name="delivery-retry"),
    path(
        "deliveries/<int:delivery_id>/discard/", deliveries.DeliveryDiscard.as_view(), name="delivery-discard"
    ),
    path(
        "deliveries/<int:delivery_id>/correct/",
        corrections.DeliveryCorrect.as_view(),
        name="delivery-correct",
    ),
    path(
        "deliveries/<int:delivery_id>/remove-double/",
        corrections.DeliveryRemoveDouble.as_view(),
        name="delivery-remove-double",
    ),
    path("audit/", audit.AuditList.as_view(), name="audit-list"),
    path("problems/", problem_groups.ProblemList.as_view(), name="problem-list"),
    path("problems/<int:problem_id>/retry/", problem_groups.ProblemRetry.as_view(), name="problem-retry"),
    path(
        "problems/<int:problem_id>/discard/", problem_groups.ProblemDiscard.as_view(), name="problem-discard"
    ),
]
