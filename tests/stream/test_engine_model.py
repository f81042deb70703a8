"""The engine against the plain idea of its promises, on random walks through what may happen.

The judge knows only what the world can see: the log of the partition, what the API stored and in
which order, which dead letters were confirmed, and which commit the broker has. A walk is the same
again for the same seed.
"""

import random

import pytest

from relay.model import Answer
from relay.road.custody import CustodyPolicy
from relay.road.settling.offset_map import OffsetMap, decode
from relay.stream.engine import Engine
from relay.stream.policy import OnDeadLetter
from relay.stream.sending.coalescing import CoalescingPolicy
from relay.stream.sending.gate import GatePolicy
from relay.stream.sending.limit import LimitPolicy
from relay.stream.sending.retries import RetryPolicy
from tests.support.engine_kit import (
    BAD,
    BUSY,
    OK,
    OOPS,
    P0,
    TIMEOUT,
    UNAUTHORISED,
    Bench,
    interpret,
)
from tests.support.policies import tuned

FAILURES = (OOPS, BUSY, TIMEOUT, UNAUTHORISED, Answer(429, {"retry-after": "3"}))
USERS = ("a", "a", "a", "b", "b", "bad", "*", "?", "-")


class Walk:
    """One partition, one engine at a time, and a judge."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.bench = Bench(
            seed=seed,
            coalescing=CoalescingPolicy(events_max=rng.choice([1, 3])),
            on_dead_letter=rng.choice(list(OnDeadLetter)),
            park_s=30.0,
            custody=tuned(
                CustodyPolicy,
                user_records_max=rng.choice([2, 1000]),
                memory_records_max=30,
                map_bytes_max=rng.choice([25, 60, 4096]),
            ),
            limit=tuned(LimitPolicy, max_in_flight=rng.choice([1, 4]), initial=1),
            retry=RetryPolicy(attempts_max=2, age_max_s=5.0),
            gate=GatePolicy(down_after_failures=rng.choice([2, 10])),
        )
        self.failing = rng.choice([0.1, 0.5])
        self.log = []
        self.broker = None
        self.flights = []
        self.stored = []
        self.settled = set()
        self.dead = set()
        self.writing = []

    def step(self):
        happening = self.rng.choices(
            [self.produce, self.poll, self.fly, self.land, self.time_passes, self.write_letters,
             self.letters_end, self.commit, self.rebalance, self.crash],
            [8, 8, 20, 20, 6, 4, 4, 4, 0.5, 0.5],
        )[0]  # fmt: skip
        happening()
        self.judge()

    # -- what happens -------------------------------------------------------------------------

    def produce(self):
        for _ in range(self.rng.randint(1, 5)):
            self.log.append(f"{self.rng.choice(USERS)} m{len(self.log)}")

    def poll(self, most=10):
        at = self.bench.next[P0]
        if P0 not in self.bench.engine.custody.paused():
            self.bench.feed(*self.log[at : at + min(most, self.bench.engine.custody.room())])

    def fly(self):
        flight = self.bench.fly()
        if flight is not None:
            lane = flight.members[0].lane
            assert lane not in [other.members[0].lane for other in self.flights], "two at once"
            self.flights.append(flight)

    def land(self):
        if not self.flights:
            return
        flight = self.flights.pop(self.rng.randrange(len(self.flights)))
        failed = self.rng.random() < self.failing
        answer = self.rng.choice(FAILURES) if failed else OK
        names = [member.parcel.record.value.decode() for member in flight.members]
        if any(name.startswith("bad") for name in names):
            self.bench.answer(flight, answer if failed else BAD)
            return
        if not failed or self.rng.random() < 0.3:  # stored, and the answer may be lost
            self.store(flight)
        self.bench.answer(flight, answer)

    def time_passes(self):
        self.bench.later(self.rng.choice([0.01, 0.5, 5.0, 40.0]))

    def write_letters(self):
        self.writing = self.writing or self.bench.engine.custody.next_letters(2)

    def letters_end(self):
        if self.writing and self.rng.random() < 0.7:
            self.confirm(self.writing)
        elif self.writing:
            self.bench.engine.custody.letters_failed("refused", self.bench.now)
        self.writing = []

    def commit(self):
        commits = self.bench.engine.custody.commits(self.bench.now)
        if commits and self.rng.random() < 0.8:
            self.broker_takes(commits[P0])
            self.bench.engine.custody.committed(commits)

    def rebalance(self):
        """Writing of dead letters and flights go on beyond it, and end too late."""
        self.bench.reassign(P0, commits={P0: self.broker} if self.broker else {})

    def crash(self):
        """The process is gone, and with it all that it knew."""
        old = self.bench
        self.flights.clear()
        self.writing = []
        self.bench = Bench(epoch=old.epoch + 1)
        self.bench.policy, self.bench.now = old.policy, old.now
        self.bench.engine = Engine(old.policy, interpret, self.rng)
        self.bench.assign(P0, commits={P0: self.broker} if self.broker else {})

    # -- the world ----------------------------------------------------------------------------

    def store(self, flight):
        for member in flight.members:
            self.stored.append(member.parcel.record.offset)
            self.settled.add(member.parcel.record.offset)

    def confirm(self, letters):
        self.settled |= {item.letter.record.offset for item in letters}
        self.dead |= {item.letter.record.offset for item in letters}
        self.bench.engine.custody.letters_written(letters)

    def broker_takes(self, commit):
        assert self.broker is None or commit.offset >= self.broker.offset, "a commit went back"
        start = decode(commit.offset, commit.metadata) if commit.metadata else None
        start = start or OffsetMap(commit.offset, commit.offset)
        for offset, name in enumerate(self.log):
            if start.finished(offset):
                assert offset in self.settled or name[0] == "-", f"{offset} {name} was passed over"
        self.broker = commit

    # -- what must hold -----------------------------------------------------------------------

    def judge(self):
        engine, now = self.bench.engine, self.bench.now
        assert engine.custody.ledger.balanced
        if engine.sender.lanes.waiting and not self.flights and not engine.custody.letters:
            assert engine.sender.wakes_at(now) is not None, "nothing will wake what waits"
        # A dead letter that a crash kept from being committed is tried again: a late delivery.
        first = [offset for offset in dict.fromkeys(self.stored) if offset not in self.dead]
        for user in ("a", "b"):
            offsets = [offset for offset in first if self.log[offset].startswith(f"{user} ")]
            assert offsets == sorted(offsets), f"{user} was stored in the order {offsets}"

    def finish(self):
        """From wherever we are: once everything works, everything is settled and committed."""
        self.failing = 0.0
        for _ in range(5000):
            if self.bench.offset() == len(self.log):
                break
            self.poll(100)
            self.fly()
            while self.flights:
                self.land()
            if self.bench.engine.custody.letters:
                self.confirm(self.bench.engine.custody.next_letters(100))
            self.bench.later(0.5)
            self.commit()
            self.judge()
        assert self.bench.offset() == len(self.log), "it came to a standstill"
        assert self.bench.ledger.balanced
        assert self.bench.ledger.open == 0


@pytest.mark.parametrize("seed", range(80))
def test_no_order_of_happenings_breaks_a_promise(seed):
    walk = Walk(seed)
    for _ in range(500):
        walk.step()
    walk.finish()
    assert walk.stored
