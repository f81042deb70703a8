"""mParticle batches of 1 to 60 events, through the preset; and what a plain fold makes of them.

In a batch stand custom events, attributes that are set and deleted, events that the preset skips,
events that cannot be mapped, and some that the API refuses. The letters of these are replayed:
once too early, so that they die again, and once when the API takes them.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from relay.road.settling.dead_letter import envelope
from relay.sandbox.options import RepeatPolicy
from relay.sources.formats import FormatName, FormatPolicy, build_format
from relay.sources.interpret import Source, source_interpreter
from relay.sources.mapping import compile_mapping
from relay.sources.presets import preset
from tests.support.simulation.loop import EPOCH_MS
from tests.support.simulation.mixed import DATAMART, FAULTS, Mix, MixedWorld, State, account_of

REFUSED = {"kind": "status", "status": 400, "contains": '"refused":"yes"'}
_ATTRIBUTES = ["city", "tier", "tags"]
_PLAIN = ["custom", "custom", "custom", "attribute"]
_SOURCE = Source(
    ("events",),
    build_format(FormatName.JSON, FormatPolicy()),
    compile_mapping(
        preset("mparticle"), {"compartment": "1000", "app_id": "1", "session_status": "IN_SESSION"}
    ),
    1000,
)


@dataclass(frozen=True)
class Batch:
    """A record: whose, what it holds, and what is to become of each of its events."""

    user: int
    document: dict[str, Any]
    kinds: list[str]
    """custom, refused, attribute, deleted, skipped or bad."""


@dataclass
class Expected:
    """What the fold knows of a user, and what it cannot know the place of."""

    state: State
    late: set[int] = field(default_factory=set)
    """Events that were refused at first: they come, and not in their place."""


def mix_of(seed: int, **fixed: Any) -> Mix:
    """A mix drawn from a seed; `events` are its batches."""
    drawn = Mix.of(seed, **{"events": 60, "users": 12, "faults": faults_of(refusing=True), **fixed})
    # Members come and go in every one of them: see `Mix` about what then must not be mixed.
    if drawn.repeats is RepeatPolicy.IGNORE:
        drawn = replace(drawn, coalesce=1, by_put=0.0)
    return drawn


def faults_of(*, refusing: bool) -> dict[str, Any]:
    """What the API does to requests, and whether it refuses the events that it will take later."""
    return {**FAULTS, "rules": [*([REFUSED] if refusing else []), *FAULTS["rules"]]}


def batches(mix: Mix) -> list[Batch]:
    """The batches, in their order. The first event of each user is a plain one."""
    rng = random.Random(f"batches {mix.seed}")
    seqs: Counter[int] = Counter()
    picks = [*range(mix.users), *rng.choices(range(mix.users), k=mix.events - mix.users)]
    return [_batch(rng, mix, user, number, seqs) for number, user in enumerate(picks)]


def _batch(rng, mix, user, number, seqs):
    others = ["refused", "skipped", "bad", *(["deleted"] if mix.by_put else [])]
    count = rng.choice([0, 1, 1, 2, 5, 60, rng.randint(1, 60)]) if seqs[user] else 3
    kinds, events = [], []
    for place in range(count):
        seq = seqs[user]
        seqs[user] += 1
        kind = rng.choice(_PLAIN if rng.random() < 0.8 else others) if seq else "custom"
        kinds.append(kind)
        # Of some the producer says no id: then they are named by batch and place.
        named = {"source_message_id": f"{user}-{seq}"} if rng.random() < 0.7 else {}
        at = {"timestamp_unixtime_ms": EPOCH_MS + number * 1000 + place, **named}
        events.append(_event(rng, kind, user, seq, at))
    document = {
        "batch_id": number,
        "environment": "production",
        "user_identities": [{"identity_type": "customer_id", "identity": account_of(user)}],
        "events": events,
    }
    return Batch(user, document, kinds)


def _event(rng, kind, user, seq, at):
    match kind:
        case "custom" | "refused":
            refused = "yes" if kind == "refused" else "no"
            own = {"user": account_of(user), "seq": seq, "refused": refused}
            data = {"event_name": "seen", "custom_attributes": own, **at}
            return {"event_type": "custom_event", "data": data}
        case "attribute" | "deleted":
            data = {"user_attribute_name": rng.choice(_ATTRIBUTES), **at}
            if kind == "deleted":
                data |= {"new": None, "deleted": True}
            else:
                data |= {"new": rng.choice([f"v{seq}", seq, [seq, "x"]]), "deleted": False}
            return {"event_type": "user_attribute_change", "data": data}
        case "skipped":
            return {"event_type": "session_start", "data": at}
        case _:
            wrong = {"event_name": "seen", "timestamp_unixtime_ms": "yesterday"}
            unheard_of = {"event_type": "unheard_of", "data": at}
            return rng.choice([{"event_type": "custom_event", "data": wrong}, unheard_of])


def fold(given: list[Batch]) -> dict[str, Expected]:
    """What each user is after the events of its batches, applied one by one."""
    users: dict[str, Expected] = {}
    for batch in given:
        known = users.setdefault(account_of(batch.user), Expected(State()))
        for kind, event in zip(batch.kinds, batch.document["events"], strict=True):
            data = event["data"]
            match kind:
                case "custom":
                    known.state.timeline.append(data["custom_attributes"]["seq"])
                case "refused":
                    known.late.add(data["custom_attributes"]["seq"])
                case "attribute":
                    known.state.profile[data["user_attribute_name"]] = data["new"]
                case "deleted":
                    known.state.profile.pop(data["user_attribute_name"], None)
    return users


class BatchWorld(MixedWorld):
    """The production pipeline with the preset, and replays of what died at sending."""

    def __init__(self, mix: Mix):
        super().__init__(mix)
        rng = random.Random(f"members {mix.seed}")
        self.storm.members = rng.randint(1, 2)
        self.storm.joins = [rng.uniform(0, 6) for _ in range(rng.randint(0, 1))]
        self.batches = batches(mix)
        self.replayed: list[Any] = []
        self.stored_by_replays: set[tuple[str, int]] = set()

    def interpret(self):
        return source_interpreter([_SOURCE], self.interpret_policy())

    async def produce(self):
        for batch in self.batches:
            if self.mix.produce_s:
                await asyncio.sleep(self.mix.produce_s / len(self.batches))
            name, partition = account_of(batch.user), batch.user % self.storm.partitions
            self.cluster.produce(partition, EPOCH_MS, name.encode(), orjson.dumps(batch.document))

    async def _until_settled(self):
        """Also replay what the API refused, before and after it takes it."""
        await super()._until_settled()
        before = self.stored_times()
        again = await self._replay(self.letters.written)
        self.set_faults(faults_of(refusing=False))
        await self._replay(again)
        self.stored_by_replays = set(self.stored_times() - before)

    async def _replay(self, letters):
        """As `relay dlq replay` does: to the partition they came from, with all their headers.

        What died meanwhile.
        """
        known = len(self.letters.written)
        refused = [letter for letter in letters if letter.code == "http_400"]
        for letter in refused:
            record = letter.record
            headers = envelope(letter, "1")
            self.cluster.produce(
                record.partition, record.timestamp_ms, record.key, record.value, headers
            )
        self.replayed.append(refused)
        await super()._until_settled()
        return self.letters.written[known:]

    def stored_times(self) -> Counter[tuple[str, int]]:
        """How often each event of the fold's timelines is stored."""
        datamart = self.sandbox.datamarts[DATAMART]
        return Counter(
            (event["$properties"]["user"], event["$properties"]["seq"])
            for user in datamart.users
            for activity in datamart.everything(user, self.sandbox.now_ms())["activities"]
            for event in activity["$events"]
            if "user" in event["$properties"]
        )
