"""Owns the signals hosts may listen to. They are sent after the commit; a failing listener harms nothing."""

from django.dispatch import Signal

delivery_changed = Signal()
"""A delivery reached another state. Argument: delivery."""

connection_changed = Signal()
"""A connection reached another state. Argument: connection_id."""
