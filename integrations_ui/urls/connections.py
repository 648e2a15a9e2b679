"""Owns the addresses of the Integrations page, of connecting a PSA, and of a connection's own pages."""

from django.urls import path

from integrations_ui.views import callbacks, connect, connection, connections, keys, manage, permissions

urlpatterns = [
    path("", connections.connection_list, name="connections"),
    path("live/", connections.connection_list_live, name="connections-live"),
    path("connect/<slug:provider>/", connect.connect, name="connect"),
    path("connect/<slug:provider>/address/", connect.connect_address, name="connect-address"),
    path("connect/<slug:provider>/role/", permissions.role_recipe, name="role-recipe"),
    path("<int:connection_id>/", connection.connection_overview, name="connection"),
    path("<int:connection_id>/live/", connection.connection_live, name="connection-live"),
    path("<int:connection_id>/test/", connections.connection_test, name="connection-test"),
    path("<int:connection_id>/permissions/", permissions.permissions, name="permissions"),
    path("<int:connection_id>/callbacks/", callbacks.callbacks, name="callbacks"),
    path("<int:connection_id>/callbacks/boards/", callbacks.board_field, name="callback-boards"),
    path("<int:connection_id>/callbacks/<int:callback_id>/remove/", callbacks.remove, name="callback-remove"),
    path("<int:connection_id>/settings/", manage.manage, name="manage"),
    path("<int:connection_id>/settings/name/", manage.rename, name="rename"),
    path("<int:connection_id>/settings/key/", keys.key_replace, name="key-replace"),
    path("<int:connection_id>/settings/move/", keys.move, name="move"),
    path("<int:connection_id>/settings/off/", manage.disable, name="disable"),
    path("<int:connection_id>/settings/on/", manage.enable, name="enable"),
    path("<int:connection_id>/settings/delete/", manage.delete, name="delete"),
]
