"""Owns the REST API of `psa`: Django REST framework is imported here and nowhere else.

A host includes `psa.api.urls`, names `psa.api.problems.exception_handler` and `psa.api.pagination.Pagination`
in its `REST_FRAMEWORK` settings, and builds calls of its own on `problems`, `idempotency`, `scope` and
`permissions`.
"""
