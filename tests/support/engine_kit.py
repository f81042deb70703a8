"""An engine on a bench: feed it records in a shorthand, take its flights, hand it answers.

A record's value is shorthand for what it is interpreted as:

    "alice 3"   event 3 of alice          "- x"   unwanted
    "* 3"       an event without a lane    "? x"   undecodable
    "! x"       unmappable                 "~ x"   a segment event that the other road imports
"""

import random

from relay.model import (
    Activity,
    Answer,
    Commit,
    Moment,
    NoAnswer,
    Parcel,
    Partition,
    Record,
    Undecodable,
    Unmappable,
    Unwanted,
)
from relay.stream.engine import Engine
from relay.stream.mapping.codes import MappingCode
from relay.stream.policy import EnginePolicy, UserPolicy
from relay.stream.sending.destination import DestinationPolicy
from relay.stream.sending.gate import GatePolicy
from relay.stream.sending.limit import LimitPolicy
from relay.stream.sending.retries import RetryPolicy

P0, P1 = Partition("events", 0), Partition("events", 1)
OK = Answer(200, {}, b'{"status":"ok","data":true}')
BAD = Answer(400, {}, b'{"status":"error","error":"bad"}')
OOPS = Answer(500, {}, b"oops")
UNAUTHORISED = Answer(401, {}, b'{"status":"error"}')
BUSY = Answer(429, {})
TIMEOUT = Answer(0, no_answer=NoAnswer.TIMEOUT, detail="no answer in 30 s")
WALL_MS = 1_767_225_600_000


def interpret(record, now_ms):
    """The shorthand of the module's docstring."""
    user, _, rest = (record.value or b"").decode().partition(" ")
    match user:
        case "-":
            return Unwanted("no_consent", "the user said no")
        case "~":
            return Unwanted(MappingCode.SEGMENT_IMPORTED, "the other road imports it")
        case "?":
            return Undecodable("not_json", "not JSON")
        case "!":
            return Unmappable("no_identifier", "no usable identifier")
    mergeable = rest.startswith("m")
    activity = Activity(
        envelope=b'{"$user":"%b"}' % user.encode(),
        ts_ms=WALL_MS,
        unique_key=f"key-{user}-{rest}",
        events=(b'{"n":"%b"}' % rest.encode(),),
        user=user,
        mergeable=mergeable,
    )
    return Parcel(record, None if user == "*" else user, activity)


class Bench:
    """One engine, its clock, and the next offset of each partition."""

    def __init__(self, *, epoch=1, partitions=(P0,), seed=1, **policy):
        parts = {
            "gate": policy.pop("gate", GatePolicy()),
            "limit": policy.pop("limit", LimitPolicy(fixed_limit=True, max_in_flight=64)),
            "retry": policy.pop("retry", RetryPolicy()),
        }
        if "rate" in policy:
            parts["rate"] = policy.pop("rate")
        users = {name: policy.pop(name) for name in UserPolicy.model_fields if name in policy}
        self.policy = EnginePolicy(
            destination=DestinationPolicy(**parts), users=UserPolicy(**users), **policy
        )
        self.engine = Engine(self.policy, interpret, random.Random(seed))
        self.now = 1000.0
        self.epoch = epoch
        self.next = dict.fromkeys(partitions, 0)
        self.assign(*partitions)

    @property
    def ledger(self):
        return self.engine.custody.ledger

    @property
    def moment(self):
        return Moment(self.now, WALL_MS + int((self.now - 1000.0) * 1000))

    def assign(self, *partitions, commits=None):
        commits = commits or {}
        self.engine.custody.assign({p: commits.get(p) for p in partitions}, self.epoch, self.now)
        for partition in partitions:
            commit = commits.get(partition)
            self.next[partition] = commit.offset if commit else 0

    def reassign(self, *partitions, commits=None):
        """The partitions leave and come back under a later epoch."""
        self.engine.custody.leave(partitions)
        self.engine.custody.drop(partitions)
        self.epoch += 1
        self.assign(*partitions, commits=commits)

    def feed(self, *values, partition=P0, offset=None, epoch=None, headers=()):
        for value in values:
            at = self.next[partition] if offset is None else offset
            self.next[partition] = at + 1
            raw = None if value is None else value.encode()
            record = Record(
                *partition, at, self.moment.wall_ms, None, raw, headers, epoch or self.epoch
            )
            self.engine.admit(record, self.moment)

    def fly(self):
        """The next flight, or None."""
        return self.engine.sender.next_flight(self.moment)

    def fly_all(self):
        """Every flight that may leave now."""
        flights = []
        while (flight := self.fly()) is not None:
            flights.append(flight)
        return flights

    def answer(self, flight, answer=OK):
        self.engine.sender.take_answer(flight, answer, self.moment)

    def later(self, seconds):
        self.now += seconds
        return self

    def later_until_open(self):
        """Move on to the moment when the engine says that it may have something."""
        at = self.engine.sender.wakes_at(self.now)
        assert at is not None, "it waits for nothing"
        self.now = max(self.now, at) + 0.0005
        return self

    def fly_when_open(self):
        """The next flight, waiting for it as long as it takes."""
        while (flight := self.fly()) is None:
            self.later_until_open()
        return flight

    def deliver_all(self):
        """Send and confirm until nothing waits; returns what left, in order."""
        left = []
        while self.engine.sender.lanes.waiting:
            flight = self.fly_when_open()
            left.append(names(flight))
            self.answer(flight)
        return left

    def confirm_letters(self):
        letters = self.engine.custody.next_letters(10_000)
        self.engine.custody.letters_written(letters)
        return [item.letter for item in letters]

    def commit(self):
        """What would be committed now, and is."""
        commits = self.engine.custody.commits(self.now)
        if commits:
            self.engine.custody.committed(commits)
        return commits

    def offset(self, partition=P0):
        """How far the partition may be committed."""
        return self.engine.custody.assigned[partition].frontier.snapshot().offset


def names(flight):
    """What flies, in the shorthand."""
    return " + ".join(member.parcel.record.value.decode() for member in flight.members)


def commit(offset, metadata=""):
    return Commit(offset, metadata)
