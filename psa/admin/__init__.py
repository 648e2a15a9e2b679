"""Owns Django admin of `psa`: one file a subject, every class on `base.ScopedAdmin`, every import below."""

from psa.admin import (  # noqa: F401  they register themselves
    audit,
    callbacks,
    connections,
    deliveries,
    idempotency,
    links,
    mappings,
    system,
)
