"""Owns the addresses of one delivery: its story, and what people do with it."""

from django.urls import path

from integrations_ui.views import deliveries, move, take_back

urlpatterns = [
    path("<int:delivery_id>/", deliveries.delivery, name="delivery"),
    path("<int:delivery_id>/live/", deliveries.delivery_live, name="delivery-live"),
    path("<int:delivery_id>/attempts/", deliveries.delivery_attempts, name="delivery-attempts"),
    path("<int:delivery_id>/retry/", deliveries.delivery_retry, name="delivery-retry"),
    path("<int:delivery_id>/edit/", deliveries.delivery_edit, name="delivery-edit"),
    path("<int:delivery_id>/discard/", deliveries.delivery_discard, name="delivery-discard"),
    path("<int:delivery_id>/hide/", take_back.hide, name="delivery-hide"),
    path("<int:delivery_id>/correct/", take_back.correct, name="delivery-correct"),
    path("<int:delivery_id>/remove/", take_back.remove, name="delivery-remove"),
    path("<int:delivery_id>/remove-extra/", take_back.remove_extra, name="delivery-remove-extra"),
    path("<int:delivery_id>/move/", move.move_find, name="delivery-move"),
    path(
        "<int:delivery_id>/move/<int:connection_id>/<int:number>/",
        move.move_confirm,
        name="delivery-move-confirm",
    ),
]
