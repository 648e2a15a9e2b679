"""Owns the addresses of the tab "Status rules" of a connection."""

from django.urls import path

from integrations_ui.views import rules

urlpatterns = [
    path("<int:connection_id>/status-rules/", rules.rules, name="rules"),
    path("<int:connection_id>/status-rules/boards/", rules.rules_boards, name="rules-boards"),
    path("<int:connection_id>/status-rules/refresh/", rules.rules_refresh, name="rules-refresh"),
    path("<int:connection_id>/status-rules/board/<str:board_id>/", rules.rules_board, name="rules-board"),
    path(
        "<int:connection_id>/status-rules/board/<str:board_id>/warnings/",
        rules.rules_warnings,
        name="rules-warnings",
    ),
    path(
        "<int:connection_id>/status-rules/board/<str:board_id>/clear/", rules.rules_clear, name="rules-clear"
    ),
]
