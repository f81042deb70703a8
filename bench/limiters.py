"""What Relay makes of rate limiters: what each grants, what is achieved, what is refused.

    python -m bench.limiters [--seconds 60] [--http] [--only NAME …]

The production engine on a clock that jumps, before each model of `relay.sandbox.limiters`, with
more waiting than any of them grants. `--http`: the same over real HTTP, in the sandbox, in real
time, without the columns about pauses. Figures count from the tenth second on.
"""

import argparse
import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx
import orjson

from relay.model import Activity, Answer, Moment, Parcel, Partition, Record, Request, RequestKind
from relay.road.custody import CustodyPolicy
from relay.sandbox.app import create_app
from relay.sandbox.limiters import CountedBy, Limiter, LimiterKind, LimiterRule, Pass
from relay.sandbox.options import SandboxOptions
from relay.sandbox.server import serve
from relay.stream.decoding import DecodingPolicy
from relay.stream.engine import Engine
from relay.stream.interpret import InterpretPolicy, OrderBy, interpreter
from relay.stream.mapping import MappingPolicy
from relay.stream.mapping.policy import IdentityPolicy
from relay.stream.policy import EnginePolicy
from relay.stream.sender import Flight
from relay.telemetry.redact import redact
from tests.support.simulation.world import event
from tests.support.trouble import Stream, stream

WARM_S = 10.0
_WALL_MS = 1_767_225_600_000
_BACKLOG = 3_000
_TURNAROUND_S = 0.001
_NETWORK_S = (0.0005, 0.008)
"""As a busy loopback has it, each way."""
_OK = b'{"status":"ok","data":true}'
_TOO_MANY = b'{"status":"error","error":"Too Many Requests"}'
_P0 = Partition("events", 0)
_BY_USER = InterpretPolicy(
    DecodingPolicy(),
    MappingPolicy(identity=IdentityPolicy(default_compartment_id="1")),
    OrderBy.USER,
)


@dataclass(frozen=True)
class Model:
    """A limiter, the traffic before it, and what it grants a second."""

    name: str
    rule: LimiterRule
    granted: float
    latency_s: tuple[float, float] = (0.03, 0.07)
    network_s: tuple[float, float] = (0.0, 0.0)
    """Each way, at random between these: a request there, and its answer back."""
    users: int = 500
    user_points: float = 0.0
    """The share of user points in the traffic."""


@dataclass
class Figures:
    """What came of it, from the tenth second on. A share is 0 to 1."""

    granted: float
    achieved: float
    refused_share: float
    longest_pause_s: float
    longest_asked_s: float
    sent: float
    """Requests a second, refused ones and those that no limiter looks at with them."""

    @property
    def of_granted(self) -> float:
        """The share of what is granted that was achieved."""
        return self.achieved / self.granted


def models() -> Iterator[Model]:
    """Each kind of limiter, with what it may say."""
    kinds: dict[str, dict[str, Any]] = {
        "token bucket 100/s, burst 50": {"kind": "token_bucket", "per_second": 100.0, "burst": 50},
        "token bucket 5/s, burst 1": {"kind": "token_bucket", "per_second": 5.0},
        "fixed window 100 in 1 s": {"kind": "fixed_window", "limit": 100},
        "fixed window 300 in 10 s": {"kind": "fixed_window", "limit": 300, "window_s": 10.0},
        "sliding window 100 in 1 s": {"kind": "sliding_window", "limit": 100},
        "sliding window 300 in 10 s": {"kind": "sliding_window", "limit": 300, "window_s": 10.0},
        "concurrency 8": {"kind": "concurrency", "limit": 8},
        "each user 2/s, burst 2": {
            "kind": "token_bucket", "per_second": 2.0, "burst": 2, "by": "user",
        },
        "user points 20/s": {
            "kind": "token_bucket", "per_second": 20.0, "burst": 20, "path": "*user_points*",
        },
    }  # fmt: skip
    for name, rule in kinds.items():
        for says, more in {
            "": {"retry_after": False},
            ", Retry-After": {"retry_after": True},
            ", RateLimit-*": {"retry_after": False, "rate_limit_headers": True},
        }.items():
            made = LimiterRule.model_validate_json(orjson.dumps(rule | more))
            granted = _granted(made)
            if made.by is CountedBy.USER:
                yield Model(name + says, made, 2.0 * 50, users=50)
                # A second that was asked for begins and ends here, with a way there and back.
                behind = 2.0 * 50 / (1 + sum(_NETWORK_S))
                network = f"{name}{says}, network"
                yield Model(network, made, behind, users=50, network_s=_NETWORK_S)
            elif made.path:
                # What is granted is that of the route; the others go on beside it.
                yield Model(name + says, made, granted, user_points=0.2)
            else:
                yield Model(name + says, made, granted)
            if made.kind is LimiterKind.CONCURRENCY:
                # A place that is free again is known here only when the answer has arrived.
                behind = (made.limit or 0) / (0.05 + sum(_NETWORK_S))
                yield Model(f"{name}{says}, network", made, behind, network_s=_NETWORK_S)


def _granted(rule: LimiterRule) -> float:
    if rule.kind is LimiterKind.TOKEN_BUCKET:
        return rule.per_second or 0.0
    if rule.kind is LimiterKind.CONCURRENCY:
        return (rule.limit or 0) / 0.05
    return (rule.limit or 0) / rule.window_s


class Simulated:
    """The engine before one model, in virtual time."""

    def __init__(self, model: Model, seed: int = 1) -> None:
        self.model = model
        self.limiter = Limiter(model.rule)
        self.rng = random.Random(seed)
        custody = CustodyPolicy(
            memory_records_max=10**6, memory_bytes_max=2**40, user_records_max=10**6
        )
        policy = EnginePolicy(custody=custody, redact=redact)
        self.engine = Engine(policy, _interpret, random.Random(seed))
        self.engine.custody.assign({_P0: None}, 1, 0.0)
        self.now = 0.0
        self.offsets = itertools.count()
        self.steps: list[_Step] = []
        self.order = itertools.count()
        self.departures: list[float] = []
        self.accepted: list[float] = []
        self.refused: list[float] = []
        self.asked_s = [0.0]

    def run(self, seconds: float) -> Figures:
        """Run to the end."""
        while self.now < seconds:
            self._feed()
            moment = self._moment()
            while (flight := self.engine.sender.next_flight(moment)) is not None:
                self._send(flight)
            wakes = self.engine.sender.wakes_at(self.now)
            lands = self.steps[0].at if self.steps else None
            times = [at for at in (wakes, lands) if at is not None]
            self.now = max(self.now + 1e-6, min(times)) if times else self.now + 0.01
            while self.steps and self.steps[0].at <= self.now:
                heapq.heappop(self.steps).call()
        return self._figures(seconds)

    def _feed(self) -> None:
        while self.engine.sender.lanes.waiting < _BACKLOG:
            kind = "p" if self.rng.random() < self.model.user_points else "a"
            user = self.rng.randrange(self.model.users)
            offset = next(self.offsets)
            value = f"{kind}{user}".encode()
            self.engine.admit(Record(*_P0, offset, -1, None, value, (), 1), self._moment())

    def _send(self, flight: Flight) -> None:
        self.departures.append(self.now)
        self._after(self._network_s(), lambda: self._arrived(flight))

    def _arrived(self, flight: Flight) -> None:
        """A request is at the limiter."""
        request = flight.request
        takes_s = self.rng.uniform(*self.model.latency_s)
        passed = self.limiter.take(request.path, request.body, self.now)
        headers = {} if passed is None else passed.headers
        self.asked_s.append(_asked_s(headers))
        if passed is None or passed.taken.accepted:
            answer = Answer(200, headers, _OK)
            if passed is not None or self.model.rule.path is None:
                self.accepted.append(self.now)
        else:
            answer, takes_s = Answer(429, headers, _TOO_MANY), _TURNAROUND_S
            self.refused.append(self.now)
        self._after(takes_s, lambda: self._done(flight, answer, passed))

    def _done(self, flight: Flight, answer: Answer, passed: Pass | None) -> None:
        """Its answer leaves the limiter."""
        if passed is not None:
            passed.done()
        sender = self.engine.sender
        self._after(self._network_s(), lambda: sender.answered(flight, answer, self._moment()))

    def _network_s(self) -> float:
        slowest_s = self.model.network_s[1]
        return self.rng.uniform(*self.model.network_s) if slowest_s else 0.0

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        if seconds:
            heapq.heappush(self.steps, _Step(self.now + seconds, next(self.order), call))
        else:
            call()

    def _moment(self) -> Moment:
        return Moment(self.now, _WALL_MS + int(self.now * 1000))

    def _figures(self, seconds: float) -> Figures:
        span = seconds - WARM_S
        accepted = sum(at >= WARM_S for at in self.accepted)
        refused = sum(at >= WARM_S for at in self.refused)
        late = [at for at in self.departures if at >= WARM_S]
        gaps = [b - a for a, b in itertools.pairwise(late)]
        return Figures(
            granted=self.model.granted,
            achieved=accepted / span,
            refused_share=refused / max(1, accepted + refused),
            longest_pause_s=max(gaps, default=span),
            longest_asked_s=max(self.asked_s),
            sent=len(late) / span,
        )


class _Step(NamedTuple):
    """What happens next to a request."""

    at: float
    order: int
    call: Callable[[], None]


def _asked_s(headers: Mapping[str, str]) -> float:
    if headers.get("ratelimit-remaining", "1") == "0":
        return float(headers["ratelimit-reset"])
    return float(headers.get("retry-after", 0))


def _interpret(record: Record, _now_ms: int) -> Parcel:
    text = (record.value or b"").decode()
    user = text[1:]
    if text[0] == "p":
        path = f"/v1/datamarts/1/user_points/{user}/user_profiles"
        body = b'{"$user_identifiers":"%b"}' % user.encode()
        return Parcel(record, user, Request("PUT", path, body, None, RequestKind.USER_POINT))
    envelope = b'{"$user_identifiers":"%b"}' % user.encode()
    event = b'{"n":%d}' % record.offset
    return Parcel(record, user, Activity(envelope, _WALL_MS, None, (event,), user))


async def over_http(model: Model, seconds: float) -> Figures:
    """The same over real HTTP, in real time: the sandbox plays the limiter."""
    options = SandboxOptions()
    async with (
        serve(create_app(options)) as url,
        httpx.AsyncClient(base_url=url) as client,
        stream(url, interpret=interpreter(_BY_USER)) as made,
    ):
        delay = [int(edge * 1000) for edge in model.latency_s]
        rule = model.rule.model_dump(mode="json", exclude_none=True)
        plan = {"latency_ms": delay, "limiters": [rule]}
        (await client.put("/_sandbox/faults", json=plan)).raise_for_status()
        async with asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(_feed_events(made, model))
            await asyncio.sleep(WARM_S)
            before = (await client.get("/_sandbox/faults")).json()["limiters"][0]
            began = made.now
            await asyncio.sleep(seconds - WARM_S)
            after = (await client.get("/_sandbox/faults")).json()["limiters"][0]
            span = made.now - began
            feeding.cancel()
    accepted, refused = (after[name] - before[name] for name in ("accepted", "refused"))
    return Figures(
        granted=model.granted,
        achieved=accepted / span,
        refused_share=refused / max(1, accepted + refused),
        longest_pause_s=0.0,
        longest_asked_s=0.0,
        sent=(accepted + refused) / span,
    )


async def _feed_events(made: Stream, model: Model) -> None:
    seqs, rng = itertools.count(), random.Random(1)
    while True:
        while made.engine.sender.lanes.waiting < _BACKLOG:
            seq = next(seqs)
            users = (f"u{(seq * 20 + i) % model.users}" for i in range(20))
            made.feed(
                *(event(u, seq, _WALL_MS, put=rng.random() < model.user_points) for u in users)
            )
        await asyncio.sleep(0.02)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.limiters", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--http", action="store_true", help="over real HTTP, in real time")
    given = parser.parse_args()
    print(
        f"{'limiter':48} {'granted/s':>9} {'achieved':>9} {'refused':>8} {'pause':>7} {'asked':>6}"
    )
    for model in models():
        # Over HTTP there is a network anyway.
        wanted = not (given.http and model.network_s[1])
        if wanted and any(part in model.name for part in given.only):
            if given.http:
                found = asyncio.run(over_http(model, given.seconds))
            else:
                found = Simulated(model).run(given.seconds)
            print(line(model.name, found), flush=True)


def line(name: str, found: Figures) -> str:
    """One row of the table."""
    return (
        f"{name:48} {found.granted:9.1f} {found.of_granted:9.1%} {found.refused_share:8.1%} "
        f"{found.longest_pause_s:6.2f}s {found.longest_asked_s:5.1f}s {found.sent:8.1f}"
    )


if __name__ == "__main__":
    main()
