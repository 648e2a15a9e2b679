"""Owns workers that end by SIGKILL at a chosen point of a delivery, as a host that loses power ends them.

`CrashServer` starts this module as a program of its own. It loads Django once, holds no connection to the
database, and forks a worker for each line it is told; what is armed there is patched in that child only.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

ALARM_S = 30
"""A worker that hangs is ended, so that the test fails and says so."""
NOT_REACHED = 3
"""Exit code of a worker that did all its work without coming to the point."""


_spared = 0
"""How often the point is passed before it kills."""


def spare(times: int) -> None:
    """Let the point pass so many times first."""
    global _spared
    _spared = times


def die() -> None:
    """End this process as nothing can prevent it, unless it is spared this time."""
    global _spared
    if _spared:
        _spared -= 1
        return
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(ALARM_S)


# arming, in the child only ----------------------------------------------------------------------


def _replace(name: str, make: Callable[[Any], Any]) -> None:
    """Replace a function of the outbox wherever a module of it holds it."""
    modules = [module for key, module in sys.modules.items() if key.startswith("psa.outbox.")]
    holders = [module for module in modules if callable(vars(module).get(name))]
    [original] = {vars(module)[name] for module in holders}
    for module in holders:
        setattr(module, name, make(original))


def before(name: str) -> None:
    """Die when a function is called."""

    def make(original: Any) -> Any:
        def dying(*args: Any, **kwargs: Any) -> Any:
            die()
            return original(*args, **kwargs)

        return dying

    _replace(name, make)


def after(name: str) -> None:
    """Die when a function returns."""

    def make(original: Any) -> Any:
        def dying(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            die()
            return result

        return dying

    _replace(name, make)


class _Inside:
    """True while a function runs."""

    def __init__(self, name: str) -> None:
        self.depth = 0

        def make(original: Any) -> Any:
            def watched(*args: Any, **kwargs: Any) -> Any:
                self.depth += 1
                try:
                    return original(*args, **kwargs)
                finally:
                    self.depth -= 1

            return watched

        _replace(name, make)

    def __bool__(self) -> bool:
        return self.depth > 0


def after_statement(name: str, start: str) -> None:
    """Die after the first SQL statement of a function that begins so; its transaction is still open.

    Spaces and quotes do not count: some statements are the ORM's, some are written by hand.
    """
    from django.db import connection

    inside = _Inside(name)

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if inside and " ".join(sql.replace('"', "").split()).startswith(start):
            die()
        return result

    connection.execute_wrappers.append(wrapper)


def at_commit(name: str, *, done: bool) -> None:
    """Die right before, or right after, the commit of a function's transaction."""
    from django.db import connection

    inside, commit = _Inside(name), connection._commit

    def dying() -> None:
        if inside and not done:
            die()
        commit()
        if inside and done:
            die()

    connection._commit = dying


def at_send(method: str, *, half: bool) -> None:
    """Die before a request's first byte leaves, or when only its head has left."""
    send = http.client.HTTPConnection.send

    def dying(self: Any, data: Any) -> None:
        if self._method == method and not half:
            die()
        send(self, data)
        if self._method == method:
            die()

    http.client.HTTPConnection.send = dying


def at_write() -> None:
    """Die when only the head of a request that changes something has left."""
    send, putrequest = http.client.HTTPConnection.send, http.client.HTTPConnection.putrequest
    leaving: set[int] = set()

    def started(self: Any, method: str, *args: Any, **kwargs: Any) -> None:
        if method != "GET":
            leaving.add(id(self))
        putrequest(self, method, *args, **kwargs)

    def dying(self: Any, data: Any) -> None:
        send(self, data)
        if id(self) in leaving:
            leaving.discard(id(self))
            die()

    http.client.HTTPConnection.putrequest = started
    http.client.HTTPConnection.send = dying


def at_answer(method: str, *, half: bool) -> None:
    """Die when the answer has come and nothing of it was read, or only its head."""
    getresponse = http.client.HTTPConnection.getresponse

    def dying(self: Any) -> Any:
        if self._method == method and not half:
            select.select([self.sock], [], [], ALARM_S)
            die()
        response = getresponse(self)
        if self._method == method:
            die()
        return response

    http.client.HTTPConnection.getresponse = dying


LINK, DELIVERY, ATTEMPT = (
    "UPDATE psa_ticketlink SET lease_token",
    "UPDATE psa_delivery SET ",
    "INSERT INTO psa_deliveryattempt",
)

POINTS: dict[str, Callable[[str], None]] = {
    "before the claim": lambda _method: before("claim_due"),
    "lane leased": lambda _method: after_statement("claim_due", LINK),
    "claim written": lambda _method: after_statement("claim_due", DELIVERY),
    "claim not committed": lambda _method: at_commit("claim_due", done=False),
    "claim committed": lambda _method: after("claim_due"),
    "lane started": lambda _method: before("attempt"),
    "request leaves": lambda method: at_send(method, half=False),
    "request half sent": lambda method: at_send(method, half=True),
    "answer waits": lambda method: at_answer(method, half=False),
    "answer half read": lambda method: at_answer(method, half=True),
    "write half sent": lambda _method: at_write(),
    "call over": lambda _method: after("attempt"),
    "before finish": lambda _method: before("finish"),
    "lane given back": lambda _method: after_statement("finish", LINK),
    "attempt written": lambda _method: after_statement("finish", ATTEMPT),
    "delivery written": lambda _method: after_statement("finish", DELIVERY),
    "finish not committed": lambda _method: at_commit("finish", done=False),
    "finish committed": lambda _method: at_commit("finish", done=True),
    "after finish": lambda _method: after("finish"),
    "expired lane freed": lambda _method: after_statement("leases_expire", LINK),
    "expired delivery written": lambda _method: after_statement("leases_expire", DELIVERY),
    "expired attempt written": lambda _method: after_statement("leases_expire", ATTEMPT),
    "expiry not committed": lambda _method: at_commit("leases_expire", done=False),
    "expiry committed": lambda _method: after("leases_expire"),
    "given back, lane freed": lambda _method: after_statement("_give_back", LINK),
    "second look claimed": lambda _method: after("rechecks_claim"),
    "second look over": lambda _method: after("recheck"),
}
"""Name of a point → what arms it, given the HTTP method of the request that matters."""


def _work(job: dict[str, Any]) -> None:
    from django.conf import settings
    from django.test import override_settings

    from psa.outbox.worker import Worker

    signal.alarm(ALARM_S)
    override_settings(PSA={**settings.PSA, **job["psa"]}).enable()
    POINTS[job["point"]](job["method"])
    spare(job["spare"])
    Worker(2).run(once=True)


def serve() -> None:
    """Fork a worker for each JSON line on stdin and answer its exit status, negative for a signal."""
    import django

    django.setup()
    # Before the fork, so that each child has it at once.
    import psa.outbox.worker
    import psa.providers.connectwise.provider  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = NOT_REACHED
            try:
                _work(json.loads(line))
            except BaseException:  # noqa: BLE001  the child must never go on as a second server
                traceback.print_exc()
                code = 1
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


# in the test's process --------------------------------------------------------------------------


class CrashServer:
    """The program that forks the workers, as the tests see it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def crash(self, point: str, method: str = "POST", *, spare: int = 0, **psa: Any) -> None:
        """Run a worker until it kills itself at a point; psa are settings for it.

        spare is how often it passes the point before.

        Raises: AssertionError when it ended in any other way.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"point": point, "method": method, "spare": spare, "psa": psa}) + "\n")
        stdin.flush()
        status = int(stdout.readline())
        assert status != NOT_REACHED, f"the worker never came to {point!r}"
        assert status == -signal.SIGKILL, f"the worker ended with {status} before {point!r}"


def database_url() -> str:
    """Return the address of the test database of this process, as the settings read it."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


@contextmanager
def crash_server() -> Iterator[CrashServer]:
    """Run the program on this process's test database until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DATABASE_URL": database_url()},
    )
    with process:
        try:
            yield CrashServer(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(ALARM_S)


if __name__ == "__main__":
    serve()
