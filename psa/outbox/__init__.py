"""Owns the outbox: `enqueue` stores, `claim` takes, `lane` sends, `finish` writes down, `worker` drives.

Everything that may be written to a PSA passes here. Add a kind of delivery in `models.delivery`, how it is
sent in `lane` and how it is recognised afterwards in `reconcile`.
"""
