"""Owns what attempts and probes tell about a connection: how it fares, and when to try again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet

from psa.conf import psa_settings
from psa.exceptions import AuthenticationFailedError, PsaError
from psa.models import Connection, Delivery
from psa.models.connection import ConnectionState
from psa.models.delivery import DeliveryState, HeldBy
from psa.outbox.lanes import lane_lock, lane_recompute
from psa.outbox.outcome import Health, Outcome, outcome_of
from psa.signals import connection_changed
from psa.types import Endpoint, Feature, FeatureStatus, ProbeResult

SLOW_PROBE_EVERY = timedelta(minutes=15)
"""How often a PSA is asked whether what only a person can mend was mended: keys, rows of the role."""
KEYS_CONFIRM = timedelta(seconds=60)
"""Two refusals of the keys this far apart break a connection: one alone happens during a PSA's upgrade."""
UPGRADE_MAX = timedelta(hours=1)
"""A cloud says the same of wrong keys as of an API that has moved. What lasts longer is the keys."""
BREAKER_AFTER = 5
"""Connect failures in a row, over all workers, after which only a probe tries."""
SEEN_EVERY = timedelta(seconds=10)
"""How exact `last_delivered_at` is: one write to the row per connection and period, not one per delivery."""

FEATURE_OF_KIND = {
    "analysis": Feature.NOTES,
    "resolution": Feature.NOTES,
    "discussion": Feature.NOTES,
    "status": Feature.STATUS,
}


_REMEDIES = {
    "client-id-refused": "Ask the operator of this installation to check CONNECTWISE_CLIENT_ID.",
    "host-not-allowed": "Ask the operator to add the host to PSA_TRUSTED_HOSTS.",
    "keys-refused": "Replace the API key of this connection.",
    "credentials-unreadable": "Replace the API key, or ask the operator for that encryption key.",
}
_TRIED_AGAIN = "It is tried again by itself; replace the API key if it was changed."


def wait_s(connection: Connection, jitter: float) -> float:
    """Return the wait after a failed connect: 2, 4, 8 … at most 60 seconds, plus up to half by jitter."""
    return min(2.0 ** min(connection.failures + 1, 6), 60.0) * (1 + jitter / 2)


def next_probe(state: str, now: datetime, *, first: bool = False) -> dict[str, datetime | None]:
    """Return when a connection is probed next, and until when its breaker is open, as column values."""
    if state != ConnectionState.DEGRADED:
        return {"next_probe_at": now + SLOW_PROBE_EVERY, "open_until": None}
    at = now + timedelta(seconds=psa_settings().PROBE_EVERY_S) / (4 if first else 1)
    return {"next_probe_at": at, "open_until": at}


def note(connection: Connection, outcome: Outcome, now: datetime) -> None:
    """Record on the connection what one attempt told about it. Runs in the caller's transaction.

    connection is kept true, too: the results of several attempts are written one after the other.
    """
    if outcome.health is Health.GOOD:
        _good(connection, now)
        if outcome.code != "psa-permission":
            return
    row = Connection.objects.filter(pk=connection.pk)
    if outcome.health is Health.SILENT:
        row.update(failures=F("failures") + 1)
        if connection.failures + 1 >= BREAKER_AFTER:
            degrade(connection, now, "unreachable", outcome.text or "The PSA cannot be reached.")
    elif outcome.health is Health.MOVED:
        degrade(connection, now, "moved", "The PSA is being upgraded or has moved.")
    elif outcome.health is Health.CLIENT_ID:
        degrade(connection, now, "client-id-refused", outcome.text)
    elif outcome.health is Health.PATIENCE:
        until = now + timedelta(seconds=outcome.wait_s or 30.0)
        row.filter(Q(not_before=None) | Q(not_before__lt=until)).update(not_before=until)
    elif outcome.health is Health.KEYS:
        _keys_refused(connection, now, outcome.text)
    if outcome.code == "psa-permission":
        _permission_missing(connection, outcome, now)
    if outcome.health not in (Health.GOOD, Health.NEUTRAL) or outcome.code == "psa-permission":
        connection.refresh_from_db()


def endpoint_remember(connection: Connection, endpoint: Endpoint | None) -> None:
    """Store where a provider found the API during a call, so that the next process starts there."""
    if endpoint is not None and endpoint.as_dict() != connection.endpoint:
        Connection.objects.filter(pk=connection.pk, config_version=connection.config_version).update(
            endpoint=endpoint.as_dict()
        )


def _good(connection: Connection, now: datetime) -> None:
    stale = connection.last_delivered_at is None or connection.last_delivered_at < now - SEEN_EVERY
    if (
        stale
        or connection.failures
        or connection.auth_failed_at
        or connection.state == ConnectionState.UNVERIFIED
    ):
        Connection.objects.filter(pk=connection.pk).update(
            last_delivered_at=now, failures=0, auth_failed_at=None
        )
        connection.last_delivered_at, connection.failures, connection.auth_failed_at = now, 0, None
        if connection.state == ConnectionState.UNVERIFIED:
            connection.state = ConnectionState.CONNECTED
        Connection.objects.filter(pk=connection.pk, state=ConnectionState.UNVERIFIED).update(
            state=ConnectionState.CONNECTED, state_since=now
        )


def degrade(connection: Connection, now: datetime, code: str, text: str) -> None:
    """Stop the queue of a connection until a probe finds it well. A broken or disabled one stays as it is."""
    remedy = _REMEDIES.get(code, "Nothing to do: it is tried again every minute.")
    problem = {"code": code, "text": text, "remedy": remedy}
    changed = Connection.objects.filter(
        pk=connection.pk, state__in=(ConnectionState.CONNECTED, ConnectionState.UNVERIFIED)
    ).update(
        state=ConnectionState.DEGRADED,
        state_since=now,
        problem=problem,
        **next_probe(ConnectionState.DEGRADED, now, first=True),
    )
    _tell(connection, bool(changed))


def _keys_refused(connection: Connection, now: datetime, text: str) -> None:
    row = Connection.objects.filter(pk=connection.pk)
    if connection.auth_failed_at is None:
        row.update(auth_failed_at=now, not_before=now + KEYS_CONFIRM)
    elif now - connection.auth_failed_at >= KEYS_CONFIRM:
        break_connection(connection, now, text)


def break_connection(connection: Connection, now: datetime, text: str, code: str = "keys-refused") -> None:
    """Hold the queue of a connection until a person gives new credentials or a probe succeeds."""
    changed = (
        Connection.objects.filter(pk=connection.pk)
        .exclude(state__in=(ConnectionState.BROKEN, ConnectionState.DISABLED))
        .update(
            state=ConnectionState.BROKEN,
            state_since=now,
            problem={"code": code, "text": text, "remedy": "Replace the API key of this connection."},
            **next_probe(ConnectionState.BROKEN, now),
        )
    )
    _tell(connection, bool(changed))


def _permission_missing(connection: Connection, outcome: Outcome, now: datetime) -> None:
    features = [row for row in connection.features if row.get("feature") != outcome.feature]
    features.append(
        {
            "feature": outcome.feature,
            "status": FeatureStatus.DENIED.value,
            "grant": outcome.grant,
            "refused": True,
        }
    )
    row = Connection.objects.filter(pk=connection.pk)
    row.update(features=features)
    row.filter(next_probe_at=None).update(next_probe_at=now + SLOW_PROBE_EVERY)


def grant_missing(connection: Connection, kind: str) -> str | None:
    """Return the grant without which a write of this kind was refused, None when it may be tried.

    Only a refusal counts. What a probe reads of the security role is not always how the PSA decides.
    """
    feature = FEATURE_OF_KIND.get(kind)
    for row in connection.features:
        if feature and row.get("feature") == feature.value and row.get("refused"):
            return str(row.get("grant") or "")
    return None


def refusal_forget(connection_id: int, kind: str) -> None:
    """Let the next write of this kind ask the PSA again, because a person says that it is allowed now."""
    connection = Connection.objects.get(pk=connection_id)
    features = [
        {name: value for name, value in row.items() if name != "refused"}
        if row.get("feature") == FEATURE_OF_KIND.get(kind)
        else row
        for row in connection.features
    ]
    if features != connection.features:
        Connection.objects.filter(pk=connection_id).update(features=features)


def permission_problem(grant: str) -> dict[str, str]:
    """Return what a person reads of a delivery that waits for a permission."""
    return {
        "code": "psa-permission",
        "text": "The API member's security role does not allow this yet.",
        "remedy": f"Grant the API member {grant}." if grant else "Ask the PSA's admin for the permission.",
    }


def probed(connection: Connection, endpoint: Endpoint | None, result: ProbeResult, now: datetime) -> None:
    """Store a good probe: the queue flows again, and what only missed a permission that is there now runs."""
    features = [
        {"feature": row.feature.value, "status": row.status.value, "grant": row.grant}
        for row in result.features
    ]
    values = {
        "features": features,
        "hidden_boards": list(result.hidden_boards),
        "member_identifier": result.member[:100],
        "last_checked_at": now,
        "failures": 0,
        "auth_failed_at": None,
        "not_before": None,
        "open_until": None,
    }
    # A probe that began before a change of address or keys tells nothing about what is stored now.
    row = _as_probed(connection)
    stored = endpoint.as_dict() if endpoint else None
    if stored and stored != connection.endpoint:
        values |= {"endpoint": stored, "config_version": F("config_version") + 1}
    with transaction.atomic():
        if not row.update(**values):
            return
        row = Connection.objects.filter(pk=connection.pk)
        changed = row.exclude(state__in=(ConnectionState.DISABLED, ConnectionState.CONNECTED)).update(
            state=ConnectionState.CONNECTED, state_since=now, problem=None
        )
        row.filter(pk__in=_waiting(connection)).update(next_probe_at=now + SLOW_PROBE_EVERY)
        if changed:
            waited_add(connection, now)
    # By itself: who finishes a delivery locks its lane first, then the connection.
    granted = [
        kind
        for kind, feature in FEATURE_OF_KIND.items()
        if any(
            # Where the role cannot be read nobody knows, and the next delivery tells.
            found.feature is feature and found.status is not FeatureStatus.DENIED
            for found in result.features
        )
    ]
    holds_release(_held(connection).filter(kind__in=granted), now)
    connected = row.filter(state=ConnectionState.CONNECTED)
    connected.exclude(pk__in=_waiting(connection)).update(next_probe_at=None)
    _tell(connection, bool(changed))


def _held(connection: Connection) -> QuerySet[Delivery]:
    """Return what waits for a permission."""
    return Delivery.objects.filter(
        connection=connection, held_by=HeldBy.PERMISSION, state=DeliveryState.READY
    )


def _waiting(connection: Connection) -> QuerySet[Delivery, int]:
    """Return the id of the connection if something of it waits for a permission."""
    return _held(connection).order_by().values_list("connection_id", flat=True)


def waited_add(connection: Connection, now: datetime) -> None:
    """Add the time a connection did not flow to what waited for it: it does not count as age.

    connection is the row as it was before it flowed again.
    """
    since = connection.state_since
    if since is None or connection.state in (ConnectionState.CONNECTED, ConnectionState.UNVERIFIED):
        return
    # A delivery that was posted in between waited for less, and is given a little more than its due.
    seconds = int((now - since).total_seconds())
    Delivery.objects.open().filter(connection=connection).update(held_s=F("held_s") + seconds)


def _as_probed(connection: Connection) -> QuerySet[Connection]:
    """Return the connection's row if it is still the one that was probed."""
    return Connection.objects.live().filter(pk=connection.pk, config_version=connection.config_version)


def holds_release(held: QuerySet[Delivery], now: datetime) -> None:
    """Let deliveries run that were held one by one; the time they were held does not count as age."""
    for link_id in sorted(set(held.order_by().values_list("link_id", flat=True))):
        with transaction.atomic():
            lane_lock(link_id)
            for row in held.filter(link_id=link_id).only("pk", "held_since", "held_s"):
                waited_s = int((now - row.held_since).total_seconds()) if row.held_since else 0
                Delivery.objects.filter(pk=row.pk).update(
                    held_by=HeldBy.EARLIER, held_since=None, problem=None, held_s=row.held_s + waited_s
                )
            lane_recompute(link_id, now)


def probe_failed(connection: Connection, exc: PsaError, now: datetime, *, asked: bool = False) -> None:
    """Store a failed probe: which state it means, in words, and when to try again.

    asked is True when a person pressed Test: what the PSA says of the keys is then shown at once. A worker's
    probe breaks a connection only at the second refusal.
    """
    outcome = outcome_of(exc, sent=False)
    row = _as_probed(connection)
    present = row.first()
    if present is None:
        return
    if outcome.health is Health.MOVED and _lasts(present, exc, now):
        outcome = replace(outcome, health=Health.KEYS, code="keys-refused")
    first_refusal = present.auth_failed_at is None and present.state != ConnectionState.BROKEN
    if outcome.health is Health.KEYS and outcome.code == "keys-refused" and first_refusal and not asked:
        degrade(connection, now, outcome.code, outcome.text)
        row.update(last_checked_at=now, auth_failed_at=now, next_probe_at=now + KEYS_CONFIRM)
        return
    if outcome.health is Health.KEYS:
        break_connection(connection, now, outcome.text, outcome.code)
    else:
        degrade(connection, now, outcome.code, outcome.text)
    row.update(last_checked_at=now)
    following = ConnectionState.BROKEN if outcome.health is Health.KEYS else ConnectionState.DEGRADED
    row.filter(state__in=(ConnectionState.DEGRADED, ConnectionState.BROKEN)).update(
        **next_probe(following, now),
        problem={
            "code": outcome.code,
            "text": outcome.text,
            "remedy": outcome.remedy or _REMEDIES.get(outcome.code, _TRIED_AGAIN),
        },
    )


def _lasts(connection: Connection, exc: PsaError, now: datetime) -> bool:
    """True when a PSA has denied knowing these keys for longer than an upgrade takes."""
    doubted = isinstance(exc, AuthenticationFailedError) and connection.state == ConnectionState.DEGRADED
    since = connection.state_since
    return doubted and since is not None and now - since >= UPGRADE_MAX


def _tell(connection: Connection, changed: bool) -> None:
    if changed:
        transaction.on_commit(lambda: connection_changed.send_robust(Connection, connection_id=connection.pk))
