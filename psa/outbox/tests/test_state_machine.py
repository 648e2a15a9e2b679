"""The outbox under any order of events: posts, workers that come and go, lost answers, people, time.

Hypothesis makes up the order. What must hold after every single step stands in `outbox_world`, what must
hold once the PSA is well again in `end`. What is found here becomes a plain test in
`test_state_machine_cases`. To have a failure cut down to few steps, add `Phase.shrink`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import pytest
from django.db import transaction
from django.db.models import QuerySet
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from psa import services
from psa.exceptions import ConflictError, ProviderError
from psa.models import Connection, Delivery, TicketLink
from psa.models.delivery import OPEN_STATES, DeliveryState, HeldBy
from psa.outbox import health
from psa.outbox.claim import Claim
from psa.outbox.dispatch import claims_take, work
from psa.outbox.finish import Finished, finish
from psa.outbox.lanes import IN_FLIGHT
from psa.outbox.recheck import recheck, recheck_finish, recheck_of, rechecks_claim
from psa.outbox.schedule import leases_expire, probes_claim
from psa.outbox.tests.fake_psa import CALL_FATES, READ_FATES, WRITE_FATES
from psa.outbox.tests.outbox_world import World, check_lane, check_order, check_ticket, check_units, lanes
from psa.types import (
    Actor,
    Feature,
    FeatureResult,
    FeatureStatus,
    NoteKind,
    NotePart,
    ProbeResult,
    Scope,
    StatusPart,
)
from resolutionflow.accounts.models import Account

ALL_GRANTED = ProbeResult("1", tuple(FeatureResult(row, FeatureStatus.OK) for row in Feature))
WORLD = World()

PARTS = st.lists(
    st.sampled_from(("analysis", "analysis", "resolution", "resolution", "In Progress", "Waiting", "Closed")),
    min_size=1,
    max_size=3,
)
PICK = st.integers(0, 11)
USUAL = ("ok",) * 3 + ("late",) * 2 + ("lost-done", "lost-not-done", "read-refused")
WORKER_FATES = ("held up", "killed")
"""The worker stops for now right before its call, or for ever right after it."""
FATE = st.sampled_from((*WRITE_FATES, *READ_FATES, *CALL_FATES, *WORKER_FATES, *USUAL))
SHORT_PAUSE_S = st.sampled_from((0, 3, 12, 12, 31, 61))
STEPS = st.lists(st.tuples(FATE, SHORT_PAUSE_S), min_size=2, max_size=6)
PAUSE_S = st.sampled_from((0, 1, 12, 31, 46, 61, 301, 301, 1_000, 8 * 86_400))
"""Around the waits of looks and backoff, the lease, the recheck, and DELIVERY_MAX_AGE."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, settings: Any, quick: None) -> World:
    settings.PSA = {**settings.PSA, "RECONCILE_LOOKS_S": [2.0, 10.0], "DELIVERY_MAX_ATTEMPTS": 3}
    WORLD.install(monkeypatch)
    return WORLD


@dataclass
class Flight:
    """A claim some worker holds, and its result once there is one."""

    claim: Claim
    result: Finished | None = None


class Outbox(RuleBasedStateMachine):
    """Two tickets, any number of workers. A step is what one worker, one person or the PSA does."""

    def __init__(self) -> None:
        super().__init__()
        WORLD.reset()
        self.psa = WORLD.psa
        self.example = transaction.atomic()
        self.example.__enter__()
        self.tenant = Account.objects.create(name="Acme MSP", slug="acme")
        self.actor = Actor(None, "Erin Example")
        self.scope = Scope(self.tenant, self.actor, can_lead=True, can_post=True)
        self.connection = Connection.objects.create(
            tenant=self.tenant,
            provider="connectwise",
            name="Fake",
            site="psa.example",
            state="connected",
            credentials={},
        )
        self.links = [
            TicketLink.objects.create(
                tenant=self.tenant, connection=self.connection, record_type="service", ticket_id=number
            )
            for number in ("1", "2")
        ]
        self.flights: list[Flight] = []
        self.overtaken: set[int] = set()
        """Deliveries that stood still for a person while later ones of their lane went on."""
        self.rechecked: set[str] = set()
        self.states: list[str] = []
        """State of each delivery after the last step."""

    # people -------------------------------------------------------------------------------------

    @initialize(first=PARTS, second=PARTS)
    def begin(self, first: list[str], second: list[str]) -> None:
        self.post(0, first, 1)
        self.post(1, second, 2)

    @precondition(lambda self: sum(state in OPEN_STATES for state in self.states) < 5)
    @rule(lane=st.integers(0, 1), parts=PARTS, origin=st.integers(1, 2))
    def post(self, lane: int, parts: list[str], origin: int) -> None:
        drafts = [
            NotePart(NoteKind(part), f"Text {part}") if part in list(NoteKind) else StatusPart(part)
            for part in parts
        ]
        services.unit_enqueue(
            self.tenant, self.links[lane].pk, drafts, actor=self.actor, origin=f"session:{origin}"
        )

    @precondition(lambda self: set(self.states) - {"delivered", "discarded"})
    @rule(
        action=st.sampled_from(("retry", "retry", "edit", "edit", "edit", "discard", "continue", "unlink")),
        number=PICK,
        readable=st.booleans(),
    )
    def change(self, action: str, number: int, readable: bool) -> None:
        """A person changes something, first of all what needs one."""
        rows = list(Delivery.objects.order_by("id"))
        rows = [row for row in rows if row.state == "dead"] or rows
        row = rows[number % len(rows)]
        if action == "retry":
            self.retry(row)
        elif action == "edit":
            self.edit(row, readable)
        elif action == "unlink":
            self.unlink(row.link_id, row.unit.origin)
        else:
            self.discard(row, action)

    def retry(self, row: Delivery) -> None:
        held = row.state == "ready" and row.held_by in (HeldBy.PERMISSION, HeldBy.MAPPING)
        done = True
        try:
            services.delivery_retry(self.tenant, row.pk, scope=self.scope)
        except ConflictError:
            done = False
        assert done == (held or row.state in ("dead", "retrying")), f"retry of {row.state}: {done}"
        if done:
            self.psa.must_look(row.marker)

    def edit(self, row: Delivery, readable: bool) -> None:
        if not row.is_note:
            return
        there = self.psa.count(row.marker)
        self.psa.fate = "ok" if readable else "unreadable"
        answer = "done"
        try:
            services.delivery_edit(self.tenant, row.pk, scope=self.scope, text="Better text")
        except (ConflictError, ProviderError) as exc:
            answer = getattr(exc, "code", "unreadable")
        self.psa.fate = "ok"
        if row.state != "dead":
            assert answer == "not-dead"
        elif readable:
            assert answer == ("already-posted" if there else "done")
        else:
            assert answer == ("unreadable" if row.sends else "done")

    def discard(self, row: Delivery, rest: str) -> None:
        answer = "done"
        rest = "continue" if rest == "continue" else "discard"
        try:
            services.delivery_discard(self.tenant, row.pk, scope=self.scope, rest=rest)
        except ConflictError as exc:
            answer = exc.code
        if row.state in IN_FLIGHT:
            assert answer == "in-flight"
        elif row.state == "delivered":
            assert answer == "already-posted"
        else:
            assert answer == "done" or (answer == "already-posted" and self.psa.count(row.marker))

    def unlink(self, link_id: int, origin: str) -> None:
        rows = Delivery.objects.filter(link_id=link_id, unit__origin=origin)
        busy = rows.filter(state__in=IN_FLIGHT).exists()
        done = True
        try:
            services.open_deliveries_discard(
                self.tenant, link_id, actor=self.actor, origin=origin, reason="Unlinked"
            )
        except ConflictError:
            done = False
        assert done != busy
        assert busy or not rows.exclude(state__in=("delivered", "discarded")).exists()

    # workers ------------------------------------------------------------------------------------

    @rule(lanes=st.integers(1, 4), fates=st.lists(FATE, max_size=4), seconds=SHORT_PAUSE_S)
    def take(self, lanes: int, fates: list[str], seconds: int) -> None:
        """A worker claims; some of its calls come back, nothing is written down yet."""
        WORLD.wait(seconds)
        for flight, fate in zip_longest(self.claim(lanes), fates):
            if flight and fate:
                self.call(flight, fate)

    def claim(self, lanes: int) -> list[Flight]:
        new = [Flight(claim) for claim in claims_take(WORLD.now, lanes)]
        for flight in new:
            row = Delivery.objects.get(pk=flight.claim.delivery_id)
            earlier = Delivery.objects.filter(link_id=row.link_id, seq__lt=row.seq, state__in=OPEN_STATES)
            overtaken = earlier.exclude(held_by=HeldBy.DEAD)
            assert row.state == DeliveryState.UNKNOWN or not overtaken.exists(), f"{row.pk} overtakes"
            broken = Delivery.objects.filter(unit_id=row.unit_id, seq__lt=row.seq, state="dead")
            assert not broken.exists(), f"{row.pk} goes on although its unit needs a person"
        self.flights += new
        return new

    def call(self, flight: Flight, fate: str) -> None:
        if fate == "held up":
            return
        if fate == "killed":
            self.flights.remove(flight)
            fate = "ok"
        self.psa.fate = fate
        flight.result = work(flight.claim)
        self.psa.fate = "ok"

    def write_down(self, flights: list[Flight]) -> None:
        done = [flight for flight in flights if flight.result and flight in self.flights]
        finish([flight.result for flight in done if flight.result], WORLD.now)
        self.flights = [flight for flight in self.flights if flight not in done]

    @precondition(lambda self: self.flights)
    @rule(number=PICK, event=st.sampled_from(("call", "write one", "write all", "crash")), fate=FATE)
    def go_on(self, number: int, event: str, fate: str) -> None:
        """A worker goes on with what it claimed, however late, or is gone without giving the lane back."""
        flight = self.flights[number % len(self.flights)]
        if event == "crash":
            self.flights.remove(flight)
        elif event == "write all":
            self.write_down([flight for flight in self.flights if flight.result])
        elif flight.result:
            self.write_down([flight])
        else:
            self.call(flight, fate)

    @rule(steps=STEPS)
    def work_on(self, steps: list[tuple[str, int]]) -> None:
        """The usual course: a worker sweeps, probes, claims, sends and writes down, while time passes."""
        for fate, seconds in steps:
            WORLD.wait(seconds)
            leases_expire(WORLD.now)
            if probes_claim(WORLD.now, 1):
                self.probe()
            new = self.claim(4)
            for flight in new:
                self.call(flight, fate)
            self.write_down(new)

    @rule(steps=STEPS)
    def work_further(self, steps: list[tuple[str, int]]) -> None:
        """The same once more: hypothesis leaves out some rules in each example, rarely both of these."""
        self.work_on(steps)

    @rule(
        event=st.sampled_from(("commit late", "commit late", "sweep", "look again", "probe", "merge")),
        seconds=PAUSE_S,
    )
    def elsewhere(self, event: str, seconds: int) -> None:
        """Time passes; the PSA or a worker's side job does something."""
        WORLD.wait(seconds)
        if event == "commit late":
            self.psa.land(1)
        elif event == "sweep":
            leases_expire(WORLD.now)
        elif event == "look again":
            self.look_again()
        elif event == "probe":
            self.probe()
        else:
            self.psa.merged["1"] = "2"

    def look_again(self) -> None:
        """The second look at what was sent twice, five minutes later."""
        for row in rechecks_claim(WORLD.now, 4):
            recheck_finish(recheck(recheck_of(row, self.psa)))
            self.rechecked.add(row.marker)

    def probe(self) -> None:
        """A person's test, or a worker's probe, finds that everything is well and granted."""
        self.connection.refresh_from_db()
        health.probed(self.connection, None, ALL_GRANTED, WORLD.now)

    # what must hold -----------------------------------------------------------------------------

    @invariant()
    def check(self) -> None:
        assert self.psa.violations == []
        by_lane = lanes()
        rows = [row for lane in by_lane.values() for row in lane]
        self.states = [row.state for row in rows]
        self.overtaken |= {
            row.pk for row in rows if row.state == "dead" or row.held_by == HeldBy.DEAD or row.supersedes_id
        }
        for lane in by_lane.values():
            check_lane(lane)
        check_ticket(rows, self.psa)
        check_units()

    def teardown(self) -> None:
        try:
            if not sys.exc_info()[0]:
                self.end()
        finally:
            transaction.set_rollback(True)
            self.example.__exit__(None, None, None)

    def end(self) -> None:
        """All workers are gone, the PSA is well: everything arrives or needs a person, whose Retry works."""
        self.flights = []
        self.drain()
        self.psa.land()
        too_late = self.psa.late_doubles & self.rechecked
        left = self.on_their_way()
        assert not left.exists(), f"lost: {list(left.values('pk', 'state', 'held_by', 'due_at'))}"
        for _ in range(3):
            for pk in Delivery.objects.filter(state="dead").values_list("pk", flat=True):
                self.retry(Delivery.objects.get(pk=pk))
            self.drain()
        stuck = Delivery.objects.exclude(state__in=("delivered", "discarded"))
        assert not stuck.exists(), f"stuck: {list(stuck.values('pk', 'state', 'held_by', 'problem'))}"
        assert not TicketLink.objects.exclude(lease_token="").exists(), "a lane is still leased"
        while Delivery.objects.filter(recheck_at__isnull=False).exists():
            WORLD.wait(400)
            self.look_again()
        for row in Delivery.objects.filter(marker__in=self.psa.late_doubles - too_late, state="delivered"):
            # A copy on a ticket that was merged away since is not looked for.
            twice = self.psa.count(row.marker, row.link.ticket_id) > 1
            assert not twice or (row.problem or {}).get("code") == "duplicate", f"{row.pk} stands twice"
        for lane in lanes().values():
            check_order(lane, self.psa, self.overtaken)

    @staticmethod
    def on_their_way() -> QuerySet[Delivery]:
        """What must move without a person."""
        return Delivery.objects.filter(state__in=OPEN_STATES).exclude(held_by=HeldBy.DEAD)

    def drain(self) -> None:
        for _ in range(100):
            if not self.on_their_way().exists():
                break
            self.probe()
            self.work_on([("ok", 61)])
        self.check()


@pytest.mark.django_db
def test_in_any_order_of_events_nothing_is_lost_doubled_or_stuck(world: World) -> None:
    run_state_machine_as_test(
        Outbox,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
