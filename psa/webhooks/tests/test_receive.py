"""Taking and judging messages: what is forged, altered, replayed or of others is counted and dropped."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client

from psa import services
from psa.exceptions import ConflictError
from psa.models import AuditEntry, CallbackSubscription, Connection, TicketSighting, WebhookReceipt
from psa.providers.connectwise.sandbox.callbacks import signature
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor
from psa.webhooks import views
from psa.webhooks.receipts import receipts_process
from psa.webhooks.store import receipt_store
from psa.webhooks.tests.conftest import Send, states

pytestmark = [pytest.mark.django_db, pytest.mark.database]

Make = Callable[..., bytes]


def judge() -> None:
    from psa.database import database_now

    receipts_process(database_now())


def key_calls(sandbox: SandboxServer) -> int:
    return sum("callbackkey" in row["path"] for row in sandbox.requests)


def test_a_true_message_marks_its_ticket_and_nothing_more(
    send: Send, message: Make, callback: CallbackSubscription, sandbox: SandboxServer
) -> None:
    answer = send(message())
    assert (answer.status_code, answer.content) == (204, b"")
    receipt = WebhookReceipt.objects.get()
    assert (receipt.state, receipt.verified, receipt.query) == (
        "received",
        None,
        "recordId=57001&action=updated",
    )
    assert not TicketSighting.objects.exists(), "nothing is believed before it was judged"
    judge()
    assert states() == [("processed", "Ticket 57001 was updated.")]
    sighting = TicketSighting.objects.get()
    assert (sighting.ticket_id, sighting.changes, sighting.seen) == ("57001", 1, {})
    assert sighting.changed_at
    callback.refresh_from_db()
    assert (callback.verified, callback.rejected) == (1, 0)
    assert callback.last_received_at
    assert key_calls(sandbox) == 1


@pytest.mark.parametrize("rest", ["?recordId=57001&action=updated", "57001&action=updated", "57001/x", ""])
def test_whatever_is_appended_to_the_address_is_taken(send: Send, message: Make, rest: str) -> None:
    assert send(message(), rest=rest).status_code == 204
    judge()
    assert states() == [("processed", "Ticket 57001 was updated.")]


def test_ids_may_be_numbers_or_texts(send: Send, message: Make) -> None:
    send(message(ID="57001", CompanyId="ACME_MSP", MemberId=7))
    judge()
    assert states() == [("processed", "Ticket 57001 was updated.")]


def test_a_deleted_ticket_is_gone_and_never_read(send: Send, message: Make) -> None:
    send(message(action="deleted"))
    judge()
    sighting = TicketSighting.objects.get()
    assert (sighting.changed_at, bool(sighting.gone_at)) == (None, True)
    assert states() == [("processed", "Ticket 57001 was deleted.")]


def test_our_own_change_is_known_and_not_read_again(
    send: Send, message: Make, connection: Connection
) -> None:
    connection.refresh_from_db()
    assert connection.member_identifier
    send(message(MemberId=connection.member_identifier.upper()))
    judge()
    sighting = TicketSighting.objects.get()
    assert (sighting.changes, sighting.changed_at) == (1, None)
    assert states() == [("processed", "Our own change of ticket 57001.")]


def test_what_is_no_ticket_is_left_alone(send: Send, message: Make) -> None:
    send(message(Type="company"))
    judge()
    assert states() == [("processed", "Nothing is done with a company.")]
    assert not TicketSighting.objects.exists()


# Forged and broken ------------------------------------------------------------------------------


def altered(body: bytes, _sandbox: SandboxServer) -> tuple[bytes, str | None]:
    return body.replace(b"57001", b"57002", 1), signature(_sandbox.gateway.state.signing_key, body)


def unsigned(body: bytes, _sandbox: SandboxServer) -> tuple[bytes, str | None]:
    return body, ""


def garbage(body: bytes, _sandbox: SandboxServer) -> tuple[bytes, str | None]:
    return body, "not base64 at all!"


def short(body: bytes, _sandbox: SandboxServer) -> tuple[bytes, str | None]:
    return body, base64.b64encode(b"x").decode()


def other_key(body: bytes, _sandbox: SandboxServer) -> tuple[bytes, str | None]:
    return body, signature("somebody else's key", body)


@pytest.mark.parametrize("forge", [altered, unsigned, garbage, short, other_key])
def test_a_wrong_signature_is_rejected_and_counted(
    send: Send, message: Make, callback: CallbackSubscription, sandbox: SandboxServer, forge: Any
) -> None:
    body, signed = forge(message(), sandbox)
    assert send(body, signed=signed).status_code == 204, "the sender learns nothing"
    judge()
    [(state, outcome)] = states()
    assert (state, outcome.partition(":")[0]) == ("rejected", "signature")
    assert not TicketSighting.objects.exists()
    callback.refresh_from_db()
    assert (callback.verified, callback.rejected) == (0, 1)


@pytest.mark.parametrize(
    "key_url",
    [
        "https://evil.example/v4_6_release/system/callbackkey/index.rails?companyName=acme_msp&id=1",
        "http://169.254.169.254/latest/system/callbackkey/index.rails?companyName=acme_msp",
        "http://127.0.0.1:1/v4_6_release/system/callbackkey/index.rails?companyName=acme_msp",
        "http://localhost{port}/v4_6_release/system/callbackkey/index.rails?companyName=acme_msp",
        "https://127.0.0.1{port}/v4_6_release/system/callbackkey/index.rails?companyName=acme_msp",
        "http://127.0.0.1{port}/v4_6_release/system/other.rails?companyName=acme_msp",
        "http://127.0.0.1{port}/v4_6_release/system/callbackkey/index.rails?companyName=other",
        "http://127.0.0.1{port}/v4_6_release/system/callbackkey/index.rails?companyName=acme_msp&companyName=x",
        "http://a:b@127.0.0.1{port}/v4_6_release/system/callbackkey/index.rails?companyName=acme_msp",
        "http://127.0.0.1{port}@evil.example/system/callbackkey/index.rails?companyName=acme_msp",
        "http://127.0.0.1{port}\\@evil.example/system/callbackkey/index.rails?companyName=acme_msp",
        "file:///etc/passwd/system/callbackkey/index.rails?companyName=acme_msp",
        "http://127.0.0.1:99999/system/callbackkey/index.rails?companyName=acme_msp",
        "",
        None,
        7,
        {"a": 1},
        "x" * 10_000,
    ],
)
def test_a_key_on_another_host_is_never_asked_for(
    send: Send, message: Make, sandbox: SandboxServer, key_url: Any
) -> None:
    if isinstance(key_url, str):
        key_url = key_url.replace("{port}", f":{sandbox.url.rpartition(':')[2]}")
    before = len(sandbox.requests)
    send(message(Metadata={"key_url": key_url}))
    judge()
    [(state, outcome)] = states()
    assert (state, outcome.partition(":")[0]) == ("rejected", "key-url")
    assert len(sandbox.requests) == before, "not even a foreign-looking place of our own"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not-json"),
        (b"[1]", "not-json"),
        (b"nonsense", "not-json"),
        (b"\xff\xfe\x00", "not-json"),
        (b"[" * 100_000, "not-json"),
        (b"{}", "company"),
        (b'{"CompanyId": "other_msp"}', "company"),
        (b'{"CompanyId": ["acme_msp"]}', "company"),
        (b'{"CompanyId": "acme_msp"}', "key-url"),
        (b'{"CompanyId": "acme_msp", "Metadata": []}', "key-url"),
    ],
)
def test_what_is_no_message_is_rejected(send: Send, body: bytes, code: str) -> None:
    assert send(body).status_code == 204
    judge()
    [(state, outcome)] = states()
    assert (state, outcome.partition(":")[0]) == ("rejected", code)


@pytest.mark.parametrize(
    "changed", [{"Action": "exploded"}, {"ID": "x"}, {"ID": None}, {"ID": -1}, {"ID": True}]
)
def test_a_signed_message_that_says_nothing_is_rejected(
    send: Send, message: Make, changed: dict[str, Any]
) -> None:
    send(message(**changed))
    judge()
    assert states()[0][1].startswith("shape:")


def test_a_message_of_another_tenants_psa_is_refused(
    send: Send, message: Make, sandbox: SandboxServer
) -> None:
    with SandboxServer(port=0) as theirs:
        key = "v4_6_release/system/callbackkey/index.rails?companyName=acme_msp&id=1"
        body = message(Metadata={"key_url": f"{theirs.url}/{key}"})
        send(body, signed=signature(theirs.gateway.state.signing_key, body))
        judge()
        assert states()[0][0] == "rejected"
        assert theirs.requests == []


def test_a_large_message_is_refused_before_it_is_stored(send: Send, message: Make) -> None:
    assert send(message(Entity="x" * 2_000_000)).status_code == 413
    assert not WebhookReceipt.objects.exists()


def test_what_is_kept_of_a_forged_message_is_small(send: Send) -> None:
    send(b'{"CompanyId": "other", "pad": "' + b"x" * 200_000 + b'"}')
    judge()
    assert len(bytes(WebhookReceipt.objects.get().body)) == 2_000


# Twice ------------------------------------------------------------------------------------------


def test_the_same_message_again_is_harmless(send: Send, message: Make) -> None:
    body = message()
    send(body)
    send(body)
    judge()
    send(body)
    judge()
    assert [state for state, _ in states()] == ["processed", "duplicate", "duplicate"]
    assert TicketSighting.objects.get().changes == 1


def test_without_an_id_the_bytes_tell_messages_apart(send: Send, message: Make) -> None:
    same, other = message(MessageId=None), message(MessageId=None, action="added")
    for body in (same, same, other):
        send(body)
    judge()
    assert [state for state, _ in states()] == ["processed", "duplicate", "processed"]


def test_an_admin_may_have_it_judged_again(send: Send, message: Make, connection: Connection) -> None:
    send(message())
    judge()
    TicketSighting.objects.update(changed_at=None)
    receipt = WebhookReceipt.objects.get()
    replayed = services.receipt_replay(connection.tenant, receipt.pk, actor=Actor(None, "Ada"))
    assert replayed.state == "processed"
    sighting = TicketSighting.objects.get()
    assert (sighting.changes, bool(sighting.changed_at)) == (2, True)
    entry = AuditEntry.objects.get(verb="callback.replayed")
    assert (entry.actor_name, entry.facts["receipt"]) == ("Ada", receipt.pk)


def test_a_forged_message_stays_forged_when_judged_again(
    send: Send, message: Make, connection: Connection
) -> None:
    send(message(), signed="")
    judge()
    receipt = services.receipt_replay(
        connection.tenant, WebhookReceipt.objects.get().pk, actor=Actor(None, "Ada")
    )
    assert receipt.state == "rejected"
    assert not TicketSighting.objects.exists()


# The key ----------------------------------------------------------------------------------------


def test_the_key_is_asked_for_once_for_many_messages(
    send: Send, message: Make, sandbox: SandboxServer
) -> None:
    for number in range(57001, 57011):
        send(message(number))
    judge()
    assert [state for state, _ in states()] == ["processed"] * 10
    assert key_calls(sandbox) == 1


def test_a_new_key_is_found_and_forged_messages_do_not_cause_calls(
    send: Send, message: Make, sandbox: SandboxServer
) -> None:
    send(message())
    judge()
    sandbox.gateway.state.signing_key = "rotated"
    send(message())
    judge()
    assert states()[-1][0] == "processed"
    assert key_calls(sandbox) == 2
    for _ in range(20):
        send(message(), signed=signature("guess", b"x"))
    judge()
    assert [state for state, _ in states()][2:] == ["rejected"] * 20
    assert key_calls(sandbox) == 2, "one more try a minute, and it was used"


def test_while_the_key_cannot_be_had_messages_wait(send: Send, message: Make, sandbox: SandboxServer) -> None:
    from psa.webhooks import receipts

    sandbox.faults.add("status", path="callbackkey", status=503)
    send(message())
    send(message(57002))
    judge()
    assert [state for state, _ in states()] == ["received", "received"]
    receipt = WebhookReceipt.objects.order_by("id")[0]
    with pytest.raises(ConflictError):
        services.receipt_replay(receipt.subscription.tenant, receipt.pk, actor=Actor(None, "Ada"))
    sandbox.faults.clear()
    judge()
    assert [state for state, _ in states()] == ["received", "received"], "they rest for a while"
    receipts._paused.clear()
    cache.clear()
    judge()
    assert [state for state, _ in states()] == ["processed", "processed"]


# Addresses --------------------------------------------------------------------------------------


def test_an_address_nobody_has_is_not_found_and_after_a_while_too_many(
    db: None, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "UNKNOWN_MAX", 3)
    url = f"/psa/webhooks/{uuid.uuid4()}/"
    answers = [Client().post(url, data=b"{}", content_type="application/json").status_code for _ in range(5)]
    assert answers == [404, 404, 404, 429, 429]
    assert Client().post("/psa/webhooks/nonsense/", data=b"{}", content_type="text/plain").status_code == 404


def test_a_verified_stream_is_never_limited(
    send: Send, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "UNKNOWN_MAX", 1)
    assert {send(message()).status_code for _ in range(10)} == {204}


def test_when_too_many_wait_they_are_asked_to_come_again(
    send: Send, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "WAITING_MAX", 2)
    monkeypatch.setattr(views, "WAITING_COUNTED_S", 0.001)
    answers = []
    for _ in range(4):
        answers.append(send(message()).status_code)
        time.sleep(0.01)
    assert answers == [204, 204, 429, 429]


def test_a_callback_that_was_taken_back_is_not_found(
    send: Send, message: Make, callback: CallbackSubscription, connection: Connection
) -> None:
    services.callback_remove(connection.tenant, connection.pk, callback.pk, actor=Actor(None, "Ada"))
    assert send(message()).status_code == 404
    assert not WebhookReceipt.objects.exists()


def test_only_posts_are_taken(callback: CallbackSubscription) -> None:
    assert Client().get(f"/psa/webhooks/{callback.secret_id}/").status_code == 405


def test_a_message_that_breaks_the_provider_does_not_stop_the_next(
    send: Send, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from psa.providers.connectwise import callbacks

    true = callbacks._event

    def broken(said: Any) -> Any:
        if said["ID"] == 57001:
            raise RuntimeError("unexpected")
        return true(said)

    monkeypatch.setattr(callbacks, "_event", broken)
    send(message())
    send(message(57002))
    judge()
    assert states() == [
        ("rejected", "It cannot be judged (RuntimeError)."),
        ("processed", "Ticket 57002 was updated."),
    ]


def test_a_body_is_judged_as_it_came(send: Send, message: Make, sandbox: SandboxServer) -> None:
    spaced = json.dumps(json.loads(message()), indent=3).encode() + b"\r\n"
    send(spaced)
    judge()
    assert states()[0][0] == "processed"


# Storing ----------------------------------------------------------------------------------------


def test_a_database_that_cannot_be_used_asks_for_the_message_again(
    send: Send, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_args: Any, **_options: Any) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(WebhookReceipt.objects, "bulk_create", locked)
        answer = send(message())
    assert (answer.status_code, answer["Retry-After"]) == (429, "5")
    assert send(message()).status_code == 204
    assert WebhookReceipt.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_messages_of_one_moment_share_a_transaction(
    callback: CallbackSubscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[int] = []

    def slow(receipts: list[WebhookReceipt]) -> None:
        stored.append(len(receipts))
        time.sleep(0.1)

    monkeypatch.setattr(WebhookReceipt.objects, "bulk_create", slow)
    threads = [
        threading.Thread(target=receipt_store, args=(WebhookReceipt(subscription=callback, body=b"x"),))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(stored) == 20
    assert len(stored) <= 3
