"""Owns the `Idempotency-Key` header: one key of one caller does its work once, however often it comes.

A call gives `once` two functions: `prepare` may ask the PSA and runs outside any transaction, `commit`
writes. The key is inserted at the end of the transaction of `commit`, with what it did. A twin that comes at
the same moment waits for it on the unique index (PostgreSQL) or on the write lock that opens the transaction
(SQLite); then its own work is rolled back, and it answers with what the first one did.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import TypeVar

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from psa.api.problems import Problem
from psa.api.scope import caller_of
from psa.api.serializers import DeliverySerializer, UnitSerializer
from psa.conf import psa_settings
from psa.exceptions import ServiceError
from psa.models import Delivery, IdempotencyRecord, WorkUnit
from psa.models.delivery import DeliveryState, UnitState
from psa.types import Scope

P = TypeVar("P")

HEADER = "Idempotency-Key"

_KEY = re.compile(r"[\x21-\x7e]{1,200}")

_SETTLED_DELIVERY = {DeliveryState.DELIVERED, DeliveryState.DISCARDED}
_SETTLED_UNIT = {UnitState.DELIVERED, UnitState.DISCARDED}


class _TwinFirstError(Exception):
    """Another request with the same key committed while this one was on its way."""


def once(
    request: Request,
    scope: Scope,
    prepare: Callable[[], P],
    commit: Callable[[P], Delivery | WorkUnit],
    *,
    asks: bool = True,
) -> tuple[Delivery | WorkUnit, bool]:
    """Do the work of a call, or return what the same key did before, and whether it was the latter.

    Shape: commit runs inside a transaction, together with the record of the key. Errors are not remembered.
        asks is False when prepare costs nothing: then a key is looked up only if it is taken.
    Raises: Problem 400 `idempotency-key` (not 1 to 200 visible ASCII characters);
        Problem 422 `idempotency-mismatch` (the key was used for another path or body);
        what the two functions raise.
    """
    key = request.headers.get(HEADER)
    if key is None:
        prepared = prepare()
        with transaction.atomic():
            return commit(prepared), False
    if not _KEY.fullmatch(key):
        raise Problem(400, "idempotency-key", f"{HEADER} must be 1 to 200 visible ASCII characters.")

    caller, print_ = caller_of(request), fingerprint(request)
    stale = None
    if asks and (found := _find(scope, caller, key)) is not None:
        if _is_kept(found):
            return _replay(found, print_), True
        stale = found.pk
    try:
        prepared = prepare()
    except ServiceError:
        # What the twin committed since may be the very thing that is refused now ("completed already").
        if (found := _find(scope, caller, key)) is not None and found.pk != stale:
            return _replay(found, print_), True
        raise
    while True:
        try:
            with transaction.atomic():
                if stale is not None:
                    IdempotencyRecord.objects.filter(pk=stale).delete()
                done = commit(prepared)
                what = "delivery" if isinstance(done, Delivery) else "unit"
                about = {"tenant": scope.tenant, "caller": caller, "key": key, "fingerprint": print_}
                _insert(IdempotencyRecord(**about, **{what: done}))
                return done, False
        except (ServiceError, IntegrityError):
            # As above: on a lock or an index we may have waited for the twin, and met what it did.
            if (found := _find(scope, caller, key)) is not None and found.pk != stale:
                return _replay(found, print_), True
            raise
        except _TwinFirstError as twin:
            found = _find(scope, caller, key)
            if found is None or found.pk == stale:
                raise Problem(
                    503,
                    "idempotency-busy",
                    "Another request with this key was in progress. Try again.",
                    None,
                    {"Retry-After": "1"},
                ) from twin
            if _is_kept(found):
                return _replay(found, print_), True
            stale = found.pk


def response(done: Delivery | WorkUnit) -> Response:
    """Answer with a delivery or unit: 202 while it is on its way, 201 once it is delivered."""
    if isinstance(done, Delivery):
        data = DeliverySerializer(done).data
        delivered = done.state == DeliveryState.DELIVERED
    else:
        data = UnitSerializer(done).data
        delivered = done.state == UnitState.DELIVERED
    return Response(data, status.HTTP_201_CREATED if delivered else status.HTTP_202_ACCEPTED)


def fingerprint(request: Request) -> str:
    """Return the SHA-256 of method, path and canonical body: the order of members does not matter."""
    body = json.dumps(request.data, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(f"{request.method}\n{request.path}\n{body}".encode()).hexdigest()


def _find(scope: Scope, caller: str, key: str) -> IdempotencyRecord | None:
    return IdempotencyRecord.objects.filter(tenant=scope.tenant, caller=caller, key=key).first()


def _insert(record: IdempotencyRecord) -> None:
    try:
        record.save(force_insert=True)
    except IntegrityError as exc:
        raise _TwinFirstError from exc


def _is_kept(record: IdempotencyRecord) -> bool:
    """True while the record is young, or what it names is not settled."""
    if record.created_at > timezone.now() - psa_settings().IDEMPOTENCY_KEEP:
        return True
    if record.delivery is not None:
        return record.delivery.state not in _SETTLED_DELIVERY
    return record.unit is not None and record.unit.state not in _SETTLED_UNIT


def _replay(record: IdempotencyRecord, print_: str) -> Delivery | WorkUnit:
    if record.fingerprint != print_:
        raise Problem(
            422,
            "idempotency-mismatch",
            f"This {HEADER} was used for another call or another body. Use a new key for a new call.",
        )
    done = record.delivery or record.unit
    assert done is not None, "a record is committed together with its work"  # noqa: S101
    return done
