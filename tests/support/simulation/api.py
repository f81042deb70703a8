"""The destination, simulated: it takes its time, refuses, throttles, loses answers, and goes away.

Its log says what it was asked and what it stored, in the order in which it stored; the judge reads
nothing else of it.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from relay.errors import KafkaRefused
from relay.model import Answer, NoAnswer, RequestKind
from relay.sandbox.limiters import Limiter, LimiterRule
from tests.support.simulation.sabotage import Sabotage

_OK = b'{"status":"ok","data":true}'


@dataclass
class RouteTrouble:
    """For a time, all requests of one kind get this answer; those of the other kind do not."""

    route: RequestKind
    window: tuple[float, float]
    status: int
    retry_after_s: float | None = None

    @classmethod
    def random(cls, rng: random.Random, window: tuple[float, float]) -> "RouteTrouble":
        """Refused until later, failing, or refused by something that is not the API."""
        status = rng.choice([429, 429, 503, 500, 403])
        asks = status in {429, 503} and rng.random() < 0.7
        return cls(
            rng.choice(list(RequestKind)), window, status, rng.choice([1, 2, 30]) if asks else None
        )

    def answer(self) -> Answer:
        """What its requests get."""
        headers = {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}
        return Answer(self.status, headers, b"<html>not now</html>")


@dataclass
class Faults:
    """Shares of requests (0 to 1) and times in seconds."""

    latency_s: tuple[float, float] = (0.01, 0.05)
    throttled: float = 0.0
    retry_after_s: float | None = None
    failing: float = 0.0
    answer_lost: float = 0.0
    timing_out: float = 0.0
    outages: list[tuple[float, float]] = field(default_factory=list)
    failing_all: list[tuple[float, float]] = field(default_factory=list)
    misconfigured: list[tuple[float, float]] = field(default_factory=list)
    per_second: float | None = None
    limiter: LimiterRule | None = None
    """Of all requests; what it asks for is `retry_after_s`."""
    hangs_s: float = 10.0
    slow_users: dict[str, tuple[float, float]] = field(default_factory=dict)
    limited_users: dict[str, tuple[float, float]] = field(default_factory=dict)
    stubborn: float = 0.0
    """Events that get a page with 403 three times each."""
    routes: list[RouteTrouble] = field(default_factory=list)

    @classmethod
    def random(cls, rng: random.Random, span: float, *, trouble: bool = False) -> "Faults":
        """The weather at one destination; with `trouble` it is closed for a time, or slow."""

        def window(longest):
            start = rng.uniform(0, span)
            return start, start + rng.uniform(0, longest)

        def maybe(chance, most):
            return rng.uniform(0, most) if rng.random() < chance else 0.0

        kind = rng.choice(["outage", "held", "slow", "failing", "route"]) if trouble else ""
        return cls(
            latency_s=(0.001, rng.choice([0.002, 0.05, 0.5])),
            throttled=maybe(0.5, 0.2),
            retry_after_s=rng.choice([None, 0, 1, 5]),
            failing=maybe(0.5, 0.2),
            answer_lost=maybe(0.5, 0.1),
            hangs_s=rng.choice([1.0, 10.0]),
            outages=[window(120)] if kind == "outage" or rng.random() < 0.3 else [],
            misconfigured=[window(120)] if kind == "held" or rng.random() < 0.2 else [],
            failing_all=[window(60)] if kind == "failing" or rng.random() < 0.2 else [],
            per_second=20.0 if kind == "slow" else rng.choice([None, None, 50.0]),
            slow_users={"user-0": window(60)} if rng.random() < 0.3 else {},
            limited_users={"user-1": window(30)} if rng.random() < 0.3 else {},
            stubborn=maybe(0.3, 0.05),
            routes=[RouteTrouble.random(rng, window(60))]
            if kind == "route" or rng.random() < 0.3
            else [],
        )


@dataclass
class Seen:
    """One event of one stored request. `at` is a virtual time of the loop."""

    at: float
    unique_key: str
    user: str
    seq: int
    answered: bool


class SimApi:
    """Shared by all pipelines of a simulation."""

    def __init__(self, faults: Faults, rng: random.Random, sabotage: Sabotage):
        self.faults = faults
        self.rng = rng
        self.sabotage = sabotage
        self.stored: list[Seen] = []
        self.requests = 0
        self.requests_in_outage = 0
        self.requests_by_second: Counter[int] = Counter()
        self.throttled = 0
        self.refused_on_route = 0
        self.lost_answers = 0
        self.in_flight = 0
        self.in_flight_max = 0
        self.accepted_by_second: Counter[int] = Counter()
        self.refused_by_second: Counter[int] = Counter()
        self._busy_until = 0.0
        self._stubborn: Counter[str] = Counter()
        self._limiter = None if faults.limiter is None else Limiter(faults.limiter)

    async def send(self, request):
        self.requests += 1
        self.requests_by_second[int(asyncio.get_running_loop().time() - 1000.0)] += 1
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        try:
            return await self._serve(request)
        finally:
            self.in_flight -= 1

    async def _serve(self, request):  # noqa: C901, PLR0911, PLR0912 - a branch for each kind of weather
        loop = asyncio.get_running_loop()
        faults, rng = self.faults, self.rng
        latency = rng.uniform(*faults.latency_s)
        now = loop.time() - 1000.0
        if (broken := self.sabotage.due("send")) is not None:
            return broken
        if _within(faults.outages, now):
            self.requests_in_outage += 1
            await asyncio.sleep(latency)
            return Answer(0, no_answer=NoAnswer.CONNECT, detail="connection refused")
        if _within(faults.failing_all, now):
            self.requests_in_outage += 1
            await asyncio.sleep(0.001)
            return Answer(500, body=b"oops")
        await asyncio.sleep(latency / 2)
        if _within(faults.misconfigured, now):
            self.requests_in_outage += 1
            return Answer(401, body=b'{"status":"error","error":"unauthorised"}')
        for trouble in faults.routes:
            if request.kind is trouble.route and _within([trouble.window], now):
                self.refused_on_route += 1
                return trouble.answer()
        draw = rng.random()
        if draw < faults.throttled or self._too_fast(request, loop.time()):
            headers = {}
            if faults.retry_after_s is not None:
                headers["retry-after"] = str(faults.retry_after_s)
            self.throttled += 1
            return Answer(429, headers)
        draw -= faults.throttled
        if draw < faults.failing:
            return Answer(500, body=b"oops")
        sent = _read(request)
        user = sent.user
        if any("poison" in properties for properties in sent.events):
            return Answer(400, body=b'{"status":"error","error":"invalid"}')
        if user in faults.slow_users and _within([faults.slow_users[user]], now):
            return Answer(500, body=b"this user only")
        if user in faults.limited_users and _within([faults.limited_users[user]], now):
            return Answer(429, {"retry-after": "2"}, b'{"status":"error"}')
        if faults.stubborn and self._is_stubborn(sent.key):
            return Answer(403, {"content-type": "text/html"}, b"<html>blocked</html>")
        draw -= faults.failing
        lost = draw < faults.answer_lost
        self._store(sent, loop.time(), answered=not lost)
        if (broken := self.sabotage.due("send_done")) is not None:
            self.lost_answers += len(sent.events)
            return broken
        if lost:
            self.lost_answers += len(sent.events)
            await asyncio.sleep(latency / 2)
            return Answer(0, no_answer=NoAnswer.BROKEN, detail="connection closed")
        draw -= faults.answer_lost
        if draw < faults.timing_out:
            self.lost_answers += len(sent.events)
            await asyncio.sleep(faults.hangs_s)
            return Answer(0, no_answer=NoAnswer.TIMEOUT, detail="no answer in time")
        await asyncio.sleep(latency / 2)
        return Answer(200, body=_OK)

    async def close(self):
        pass

    def _too_fast(self, request, now):
        if self._limiter is not None:
            accepted = self._limiter.take(request.path, request.body, now).taken.accepted
            counts = self.accepted_by_second if accepted else self.refused_by_second
            counts[int(now - 1000.0)] += 1
            return not accepted
        if self.faults.per_second is None:
            return False
        if self._busy_until > now + 0.2:
            return True
        self._busy_until = max(self._busy_until, now) + 1 / self.faults.per_second
        return False

    def _is_stubborn(self, key):
        if random.Random(key).random() >= self.faults.stubborn:
            return False
        self._stubborn[key] += 1
        return self._stubborn[key] <= 3

    def _store(self, sent, at, *, answered):
        for properties in sent.events:
            self.stored.append(Seen(at, sent.key, sent.user, properties["seq"], answered))


class _Sent(NamedTuple):
    key: str
    user: str
    events: list[dict[str, Any]]


def _read(request):
    """What a request says. A profile that is put has no key of its own: its path is one."""
    document = orjson.loads(request.body)
    if request.kind is RequestKind.USER_POINT:
        user = request.path.partition("/user_account_id=")[2].partition("?")[0]
        return _Sent(f"{user} {document['seq']}", user, [document])
    return _Sent(
        document["$unique_key"],
        document["$user_identifiers"][0]["$user_account_id"],
        [event["$properties"] for event in document["$events"]],
    )


def _within(windows, now):
    return any(start <= now < stop for start, stop in windows)


class SimApis:
    """Several destinations, seen as one by whoever judges."""

    def __init__(self, apis: dict[str, SimApi]):
        self.apis = apis

    @property
    def stored(self):
        return sorted((s for api in self.apis.values() for s in api.stored), key=lambda s: s.at)

    @property
    def requests_by_second(self):
        return sum((api.requests_by_second for api in self.apis.values()), Counter())

    def __getattr__(self, name):
        """A figure: that of all together."""
        return sum(getattr(api, name) for api in self.apis.values())


class SimDeadLetters:
    """A dead-letter topic that can refuse writes for a time."""

    def __init__(self, refusing: list[tuple[float, float]], sabotage: Sabotage):
        self.refusing = refusing
        self.sabotage = sabotage
        self.written = []
        self.refused = 0

    async def start(self):
        pass

    async def stop(self):
        pass

    async def write(self, letters):
        await asyncio.sleep(0.005)
        if _within(self.refusing, asyncio.get_running_loop().time() - 1000.0):
            self.refused += 1
            raise KafkaRefused("not authorised to write")
        self.sabotage.strike("write")
        self.written.extend(letters)
        self.sabotage.strike("write_done")
