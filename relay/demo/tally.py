"""The counts of the demo at one moment, from the engine's books and the sandbox's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from relay.stream.engine import Engine


class Going(NamedTuple):
    """How one destination is going."""

    state: str
    in_flight: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Tally:
    """`at` is the steady clock, in seconds."""

    at: float
    produced: int
    delivered: int
    dead_lettered: int
    skipped: int
    requests: int
    duplicates: int
    out_of_order: int
    in_flight: int
    waiting: int
    limit: int
    lag: int
    verdicts: Mapping[str, int]
    destinations: Mapping[str, Going]

    @property
    def settled(self) -> int:
        """Records that met their fate."""
        return self.delivered + self.dead_lettered + self.skipped

    @property
    def good(self) -> bool:
        """Whether every record is accounted for and each user's order was kept."""
        return self.produced == self.settled and self.out_of_order == 0


def take(engine: Engine, produced: int, seen: Mapping[str, int], at: float) -> Tally:
    """Count. `seen` is the sandbox's summary: repeats and order are its judgement, not ours."""
    ledger = engine.custody.ledger
    verdicts: dict[str, int] = {}
    senders = engine.senders.values()
    for sender in senders:
        for (kind, _), count in sender.verdicts.items():
            verdicts[str(kind)] = verdicts.get(str(kind), 0) + count
    return Tally(
        at=at,
        produced=produced,
        delivered=ledger.delivered,
        dead_lettered=ledger.dead_lettered.total(),
        skipped=ledger.skipped.total(),
        requests=sum(sender.requests for sender in senders),
        duplicates=seen["duplicates"],
        out_of_order=seen["out_of_order"],
        in_flight=sum(sender.lanes.in_flight for sender in senders),
        waiting=sum(sender.lanes.waiting for sender in senders),
        limit=sum(sender.destination.limit.value for sender in senders),
        lag=max(0, produced - ledger.taken),
        verdicts=verdicts,
        destinations={
            sender.name: Going(
                str(sender.destination.gate.state), sender.lanes.in_flight, sender.lanes.waiting
            )
            for sender in senders
        },
    )
