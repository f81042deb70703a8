"""The production engine with a notebook: how full it was, and what was unfinished when it lost."""

from relay.road.custody import Custody
from relay.road.settling.offset_map import OffsetMap, decode
from relay.stream.engine import Engine
from relay.stream.sender import Sender
from relay.stream.shares import Shares


class WatchedCustody(Custody):
    """Writes down what was unfinished whenever partitions go."""

    at_risk = 0
    """What was in flight, or settled and not committed, when partitions were dropped."""

    def drop(self, partitions):
        self.at_risk += self._holder.unfinished([p for p in partitions if p in self.assigned])
        super().drop(partitions)


class WatchedEngine(Engine):
    """Decides as the engine does; only writes things down."""

    cluster = None
    open_most = 0
    open_bytes_most = 0
    largest_bytes = 0

    def __init__(self, policy, *parts, **several):
        super().__init__(policy, *parts, **several)
        self.custody = WatchedCustody(policy.custody, self)
        # As the engine does with the custody that it makes.
        rng = self.sender._rng
        for name, sender in self.senders.items():
            self.senders[name] = Sender(name, sender.policy, self.custody, rng)
        self.sender = next(iter(self.senders.values()))
        if self._shares is None:
            self._admit_parcel = self.sender.admit
        else:
            self._shares = Shares(policy.custody, tuple(self.senders.values()))

    @property
    def at_risk(self):
        return self.custody.at_risk

    def watch(self, cluster):
        """Judge commits by what this broker has."""
        self.cluster = cluster

    def admit(self, record, now):
        before = self.custody.ledger.open_bytes
        super().admit(record, now)
        self.largest_bytes = max(self.largest_bytes, self.custody.ledger.open_bytes - before)
        self.open_most = max(self.open_most, self.custody.ledger.open)
        self.open_bytes_most = max(self.open_bytes_most, self.custody.ledger.open_bytes)

    def unfinished(self, partitions):
        """How many records may come again although they were sent: in flight or not committed."""
        partitions = {self.custody.assigned[p] for p in partitions}
        flying = sum(
            1
            for sender in self.senders.values()
            for waiting in sender.lanes.flying()
            if waiting.assigned in partitions
        )
        return flying + sum(self._uncommitted(assigned) for assigned in partitions)

    def _uncommitted(self, assigned):
        commit = self.cluster.commits.get(assigned.partition)
        known = OffsetMap(0, 0)
        if commit is not None:
            known = (
                decode(commit.offset, commit.metadata) if self.policy.custody.offset_map else None
            )
            known = known or OffsetMap(commit.offset, commit.offset)
        snapshot = assigned.frontier.snapshot()
        finished, already = set(snapshot.open_offsets), set(known.open_offsets)
        records = self.cluster.logs[assigned.partition].records
        return sum(
            1
            for stored in records
            if stored.offset < snapshot.end
            and stored.offset not in finished
            and (stored.offset >= known.end or stored.offset in already)
        )
