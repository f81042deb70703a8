"""Tracks, profiles and choices by every route, mixed; and what a plain fold makes of them.

The fold is the judge: it reads the events in their order, once each, and knows nothing of routes,
retries, activities or the sandbox's code.
"""

import asyncio
import hashlib
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import orjson

from relay.model import DEFAULT_DESTINATION
from relay.sandbox.app import create_app
from relay.sandbox.faults import FaultPlan
from relay.sandbox.options import RepeatPolicy, SandboxOptions
from relay.stream.decoding import DecodingPolicy
from relay.stream.interpret import InterpretPolicy
from relay.stream.mapping import MappingPolicy
from relay.stream.mapping.policy import IdentityPolicy
from relay.stream.mapping.requests import activities_path
from relay.stream.sending.token import static_token
from relay.stream.sending.wire import WirePolicy
from relay.stream.sending.wire_httpx import HttpxWire
from tests.support.simulation.loop import EPOCH_MS, VirtualClock
from tests.support.simulation.world import Storm, World

DATAMART = "1234"
TOKEN = "token-of-the-simulation"
STRATEGIES = [
    "PARTIAL_UPDATE",
    "PARTIAL_DELETE",
    "FORCE_REPLACE",
    "legacy_replace",
    "legacy_merge",
    "legacy_merge_objects",
]
NAMES = ["city", "tier", "tags", "nested"]
FAULTS = {
    "latency_ms": [1, 40],
    "rules": [
        {"kind": "status", "status": 429, "rate": 0.02},
        {"kind": "status", "status": 429, "retry_after_s": 1, "rate": 0.002},
        {"kind": "status", "status": 500, "rate": 0.03},
        {"kind": "status", "status": 500, "after_storing": True, "rate": 0.02},
        {"kind": "lost_answer", "rate": 0.03},
    ],
}


@dataclass(frozen=True)
class Mix:
    """What is sent, and how it goes. Everything follows from the seed.

    After a crash, what was done but not committed is done again, in order. Where the platform
    ignores an activity that it knows, only the PUTs among it count again, and an activity that has
    other neighbours than before counts again as well: then an earlier value can win
    (docs/EVENTS.md). So members crash there only while profiles and choices keep to one
    route and travel alone.
    """

    seed: int
    events: int = 400
    users: int = 30
    produce_s: float = 5.0
    session_status: str = "IN_SESSION"
    coalesce: int = 1
    repeats: RepeatPolicy = RepeatPolicy.OVERWRITE
    faults: dict[str, Any] = field(default_factory=lambda: FAULTS)
    kills: tuple[float, ...] = ()
    by_put: float = 0.5
    to_nobody: float = 0.01

    @classmethod
    def of(cls, seed: int, **fixed: Any) -> "Mix":
        """A mix drawn from a seed."""
        rng = random.Random(f"mix {seed}")
        drawn = cls(
            seed,
            session_status=rng.choice(["IN_SESSION", "NO_SESSION"]),
            coalesce=rng.choice([1, 20]),
            repeats=rng.choice(list(RepeatPolicy)),
            kills=tuple(rng.uniform(0, 5) for _ in range(rng.randint(0, 2))),
        )
        one_route = rng.choice([0.0, 1.0])
        if drawn.kills and drawn.repeats is RepeatPolicy.IGNORE:
            drawn = replace(drawn, coalesce=1, by_put=one_route)
        return replace(drawn, **fixed)


@dataclass
class State:
    """What is known of one user."""

    profile: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, Any] = field(default_factory=dict)
    history: list[Any] = field(default_factory=list)
    timeline: list[int] = field(default_factory=list)


def events(mix: Mix) -> list[dict[str, Any]]:
    """The events, in their order. The first of each user says all its identifiers."""
    rng = random.Random(f"events {mix.seed}")
    seqs: Counter[int] = Counter()
    weights = [1 / (rank + 1) ** 0.7 for rank in range(mix.users)]
    picks = [*range(mix.users), *rng.choices(range(mix.users), weights, k=mix.events - mix.users)]
    return [_event(rng, mix, user, number, seqs) for number, user in enumerate(picks)]


def _event(rng, mix, user, number, seqs):
    seq = seqs[user]
    seqs[user] += 1
    account = {"accounts": [{"id": account_of(user)}]}
    all_of_them = {
        **account,
        "emails": [{"hash": hashlib.sha256(b"user %d" % user).hexdigest()}],
        "devices": [{"id": f"vec:7000{user:05}"}],
    }
    document = {
        "id": f"event-{number}",
        "ts": EPOCH_MS + number,
        "user": all_of_them if seq == 0 else account,
        "session_status": mix.session_status,
    }
    kind = "track" if seq == 0 else rng.choice(["track", "profile", "profile", "choice"])
    if kind == "track":
        return {"type": kind, "event": "seen", "properties": {"seq": seq}, **document}
    document |= _route(rng, mix, kind, all_of_them)
    if kind == "choice":
        return {
            "type": kind,
            "processing_id": str(rng.randrange(3)),
            "accepted": rng.random() < 0.5,
            "properties": {"seq": seq, "by": rng.choice(["banner", "letter"])},
            **document,
        }
    names = rng.sample(NAMES, rng.randint(1, 3))
    deleting = document.get("update_strategy") == "PARTIAL_DELETE"
    values = {name: None if deleting else _value(rng, name) for name in names}
    return {"type": kind, "properties": {"seq": seq, **values}, **document}


def _route(rng, mix, kind, all_of_them):
    if rng.random() >= mix.by_put:
        return {"route": "activity"}
    route = {"route": "user_profiles" if kind == "profile" else "user_choices"}
    if kind == "profile":
        route["update_strategy"] = rng.choice(STRATEGIES)
    if rng.random() < mix.to_nobody:
        return {**route, "user_point_id": "nobody", "selector": "user_point"}
    selector = rng.choice([None, "account", "email", "device"])
    return route if selector is None else {**route, "selector": selector, "user": all_of_them}


def _value(rng, name):
    if name == "nested":
        return {key: rng.randrange(9) for key in rng.sample("abc", rng.randint(1, 2))}
    return rng.choice([rng.randrange(99), "text", ["x", "y"][: rng.randint(0, 2)], None])


def account_of(user: int) -> str:
    """The account of a user by its number."""
    return f"account-{user:05}"


def fold(documents: list[dict[str, Any]]) -> dict[str, State]:
    """What each user is after its events, applied one by one."""
    users: dict[str, State] = {}
    for event in documents:
        state = users.setdefault(event["user"]["accounts"][0]["id"], State())
        if event.get("user_point_id") == "nobody":
            continue
        if event.get("route", "activity") == "activity":
            state.timeline.append(event["properties"]["seq"])
        if event["type"] == "profile":
            strategy = event.get("update_strategy", "legacy_merge")
            state.profile = _changed(state.profile, event["properties"], strategy)
        elif event["type"] == "choice":
            chosen = (event["ts"], event["accepted"], event["properties"])
            state.choices[event["processing_id"]] = chosen
            state.history.append((event["processing_id"], *chosen))
    return users


def _changed(stored, given, strategy):
    match strategy:
        case "FORCE_REPLACE" | "legacy_replace":
            return dict(given)
        case "legacy_merge":
            return {**stored, **given}
        case "PARTIAL_DELETE":
            return {name: value for name, value in stored.items() if name not in given}
    merged = dict(stored)
    for name, value in given.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = {**before, **value}
        elif strategy == "PARTIAL_UPDATE" and isinstance(before, list) and isinstance(value, list):
            merged[name] = before + [one for one in value if one not in before]
        else:
            merged[name] = value
    return merged


class MixedWorld(World):
    """The production pipeline between a simulated broker and the real sandbox."""

    def __init__(self, mix: Mix):
        super().__init__(
            Storm(
                seed=mix.seed,
                users=mix.users,
                events=mix.events,
                produce_s=mix.produce_s,
                coalesce=mix.coalesce,
                kills=list(mix.kills),
            )
        )
        self.mix = mix
        self.documents = events(mix)
        self.sandbox: Any = None

    async def _run(self):
        loop = asyncio.get_running_loop()
        app = create_app(
            SandboxOptions(
                tokens=frozenset({TOKEN}), repeat_policy=self.mix.repeats, seed=self.mix.seed
            ),
            VirtualClock(loop),
        )
        self.sandbox = app.state.sandbox
        self.set_faults(self.mix.faults)
        # A defect of the sandbox must not pass for a lost answer: it is counted below.
        transport = httpx.ASGITransport(app)
        self.api = HttpxWire(
            WirePolicy(base_url="http://sandbox"), static_token(TOKEN), transport=transport
        )
        self.apis = {DEFAULT_DESTINATION: self.api}
        await super()._run()
        await self.api.close()

    def set_faults(self, faults):
        plan = {"seed": self.mix.seed, **faults}
        self.sandbox.set_faults(FaultPlan.model_validate_json(orjson.dumps(plan)))

    def _engine_policy(self):
        return replace(super()._engine_policy(), activities_path=activities_path(DATAMART))

    def interpret_policy(self):
        identity = IdentityPolicy(default_compartment_id="1000")
        return InterpretPolicy(
            DecodingPolicy(), MappingPolicy(identity=identity, datamart_id=DATAMART)
        )

    async def produce(self):
        for event in self.documents:
            if self.mix.produce_s:
                await asyncio.sleep(self.mix.produce_s / len(self.documents))
            user = event["user"]["accounts"][0]["id"]
            partition = int(user[-5:]) % self.storm.partitions
            self.cluster.produce(partition, event["ts"], user.encode(), orjson.dumps(event))

    def stored(self) -> dict[str, State]:
        """What the sandbox knows of each user now."""
        datamart = self.sandbox.datamarts[DATAMART]
        users: dict[str, State] = {}
        for user in datamart.users:
            shown = datamart.everything(user, self.sandbox.now_ms())
            (account,) = (i for i in shown["identifiers"] if i.startswith("USER_ACCOUNT:"))
            state = users[account.rpartition(":")[2]] = State()
            for profile in shown["profiles"]:
                state.profile = _own(profile)
            state.choices = {c["$processing_id"]: _chosen(c) for c in shown["choices"]}
            state.history = _first_of_each(
                [(c["$processing_id"], *_chosen(c)) for c in shown["choice_log"]]
            )
            state.timeline = _first_of_each(
                [
                    event["$properties"]["seq"]
                    for activity in shown["activities"]
                    for event in activity["$events"]
                    if "seq" in event["$properties"]
                ]
            )
        return users

    def to_nobody(self) -> int:
        """How many events ask for a user that there is not."""
        return sum(event.get("user_point_id") == "nobody" for event in self.documents)


def _own(document):
    return {name: value for name, value in document.items() if not name.startswith("$")}


def _chosen(choice):
    return (choice["$choice_ts"], choice["$choice_acceptance_value"], _own(choice))


def _first_of_each(items):
    """Without repetitions, which at-least-once delivery allows."""
    found = []
    for item in items:
        if item not in found:
            found.append(item)
    return found
