"""An engine with several destinations on a bench: `engine_kit`, for each of them.

A record's value begins with the name of its destination: "fr alice 3".
"""

import random

from relay.model import Moment, Parcel, Record
from relay.stream.engine import Engine
from relay.stream.policy import EnginePolicy, UserPolicy
from relay.stream.sending.destination import DestinationPolicy
from relay.stream.sending.gate import GatePolicy
from relay.stream.sending.limit import LimitPolicy
from relay.stream.sending.retries import RetryPolicy
from tests.support.engine_kit import OK, P0, WALL_MS, interpret


def several(record, now_ms):
    """The shorthand of `engine_kit`, behind the name of a destination."""
    name, _, rest = (record.value or b"").partition(b" ")
    parcel = interpret(record._replace(value=rest), now_ms)
    if not isinstance(parcel, Parcel):
        return parcel
    return parcel._replace(record=record, destination=name.decode())


class SeveralBench:
    """One engine, a sender for each name, a clock."""

    def __init__(self, *names, partitions=(P0,), custody=None, down_after=3, **users):
        policy = EnginePolicy(
            destination=DestinationPolicy(
                gate=GatePolicy(down_after_failures=down_after),
                limit=LimitPolicy(fixed_limit=True, max_in_flight=64),
                retry=RetryPolicy(attempts_max=3, age_max_s=1),
            ),
            users=UserPolicy(**users),
            **({} if custody is None else {"custody": custody}),
        )
        first, *others = names
        self.engine = Engine(
            policy, several, random.Random(1), name=first, others=dict.fromkeys(others, policy)
        )
        self.custody = self.engine.custody
        self.now = 1000.0
        self.next = dict.fromkeys(partitions, 0)
        self.custody.assign(dict.fromkeys(partitions), 1, self.now)

    @property
    def moment(self):
        return Moment(self.now, WALL_MS + int((self.now - 1000.0) * 1000))

    def feed(self, *values, partition=P0):
        for value in values:
            at = self.next[partition]
            self.next[partition] += 1
            record = Record(*partition, at, WALL_MS, None, value.encode(), (), 1)
            self.engine.admit(record, self.moment)

    def fly_all(self, name):
        """Every flight of one destination that may leave now."""
        flights = []
        while (flight := self.engine.senders[name].next_flight(self.moment)) is not None:
            flights.append(flight)
        return flights

    def answer(self, name, flight, answer=OK):
        self.engine.senders[name].take_answer(flight, answer, self.moment)

    def deliver_all(self, name, answer=OK):
        """Answer what may leave to one destination until nothing does; what left, in order."""
        left = []
        while flights := self.fly_all(name):
            for flight in flights:
                left.append(said(flight))
                self.answer(name, flight, answer)
        return left


def said(flight):
    return flight.members[0].parcel.record.value.decode()
