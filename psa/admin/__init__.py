"""Owns Django admin of `psa`: one file a subject, every class on `base.ScopedAdmin`, every import below."""

from psa.admin import callbacks, connections, deliveries, links, mappings  # noqa: F401  they register themselves
