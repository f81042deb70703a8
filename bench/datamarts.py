"""Three datamarts behind one topic, one down, one slow: what the one that is fine gets.

    python -m bench.datamarts [--seconds 60]

The engine, its loop, its tasks and its wires are those of `relay run`; three servers in the same
process answer over real HTTP, and a source hands records out at a pace, as Kafka would: in the
order of each partition, and none of a partition that is paused. `down` is a port where nobody
listens; `slow` lets 100 requests a second pass and answers the others with 429.
"""

import argparse
import asyncio
import itertools
import random
import socket
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import orjson

from bench.growth import NoDeadLetters
from relay.clock import SystemClock
from relay.model import Partition, Record
from relay.road.consuming.no_kafka import NoKafka
from relay.road.consuming.source import AssignmentListener
from relay.settings.delivery import DeliverySettings
from relay.stream.decoding import DecodingPolicy
from relay.stream.engine import Engine
from relay.stream.interpret import InterpretPolicy, Routes, interpreter
from relay.stream.mapping.policy import IdentityPolicy, MappingPolicy
from relay.stream.pipeline import stream_road
from relay.stream.routing import RoutingPolicy, chooser
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.token import static_token
from relay.stream.sending.wire import WirePolicy
from relay.stream.status import Reporter
from tests.support.raw_http import Exchange, raw_server

FINE, SLOW, DOWN = "fine", "slow", "down"
OFFERED = {FINE: 500, SLOW: 150, DOWN: 150}
"""Events a second."""
_PARTITIONS = 12
_USERS = 2_000
_SLOW_RATE = 100.0
_LATENCY_S = 0.02


@dataclass(frozen=True)
class Trial:
    """One row of the table."""

    name: str
    offered: Mapping[str, int]
    records_max: int
    apart: bool = False
    """Whether each datamart has partitions of its own."""


class PacedSource(NoKafka):
    """Records that come at a pace, and wait in their partition while it is paused."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._came = _events(trial.offered)
        self._logs = [deque[bytes]() for _ in range(_PARTITIONS)]
        self._offsets = [0] * _PARTITIONS
        self._paused: set[Partition] = set()
        self._began = 0.0
        self._made = 0

    async def start(self, listener: AssignmentListener) -> None:
        """Everything is assigned at once."""
        self._began = asyncio.get_running_loop().time()
        await listener.on_assigned([Partition("t", n) for n in range(_PARTITIONS)], 1)

    async def poll(self, records_max: int, timeout_s: float) -> list[Record]:
        """What has come by now, of the partitions that are not paused."""
        await asyncio.sleep(min(0.01, timeout_s))
        now = asyncio.get_running_loop().time()
        while self._made < (now - self._began) * sum(self._trial.offered.values()):
            name, user, value = next(self._came)
            number = user % _PARTITIONS
            if self._trial.apart:
                number = user % 4 * 3 + list(OFFERED).index(name)
            self._logs[number].append(value)
            self._made += 1
        records = []
        now_ms = SystemClock().now_ms()
        for number, log in enumerate(self._logs):
            if Partition("t", number) in self._paused:
                continue
            while log and len(records) < records_max:
                offset = self._offsets[number]
                self._offsets[number] = offset + 1
                records.append(Record("t", number, offset, now_ms, None, log.popleft(), (), 1))
        return records

    def pause(self, partitions: Collection[Partition]) -> None:
        """Nothing of these from now on."""
        self._paused |= set(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        """These again."""
        self._paused -= set(partitions)

    def put_back(self, partition: Partition, offset: int, epoch: int) -> bool:
        """Nothing waits for a schema here."""
        raise AssertionError((partition, offset, epoch))


def _events(offered: Mapping[str, int]) -> Iterator[tuple[str, int, bytes]]:
    """Events of random users for random datamarts, each with its number among the user's."""
    rng = random.Random(1)
    names, weights = list(offered), list(offered.values())
    seqs: Counter[tuple[str, int]] = Counter()
    while True:
        (name,) = rng.choices(names, weights)
        user = rng.randrange(_USERS)
        seqs[name, user] += 1
        yield (
            name,
            user,
            orjson.dumps(
                {
                    "type": "track",
                    "id": f"{name}-{user}-{seqs[name, user]}",
                    "ts": 1_767_225_600_000 + seqs[name, user],
                    "user": {"accounts": [{"id": f"user-{user}"}]},
                    "event": "seen",
                    "site_id": name,
                    "properties": {"seq": seqs[name, user]},
                }
            ),
        )


class Server:
    """What one datamart stored, and when; it judges the order of each user."""

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._due = 0.0
        self.stored: list[float] = []
        self.out_of_order = 0
        self._last: dict[str, int] = defaultdict(int)

    async def answer(self, exchange: Exchange) -> None:
        """Store, or refuse what is too much."""
        await asyncio.sleep(_LATENCY_S)
        now = asyncio.get_running_loop().time()
        if self._per_second is not None:
            if self._due > now + 0.1:
                await exchange.respond(429, b'{"status":"error"}')
                return
            self._due = max(self._due, now) + 1 / self._per_second
        activity = orjson.loads(exchange.seen.body)
        user = activity["$user_identifiers"][0]["$user_account_id"]
        for event in activity["$events"]:
            seq = event["$properties"]["seq"]
            self.out_of_order += seq != self._last[user] + 1
            self._last[user] = seq
            self.stored.append(now)
        await exchange.respond()


async def measured(trial: Trial, seconds: float) -> str:
    """Run one row; its line of the table."""
    servers = {FINE: Server(None), SLOW: Server(_SLOW_RATE)}
    async with AsyncExitStack() as stack:
        urls = {DOWN: f"http://127.0.0.1:{_closed_port()}"}
        for name, server in servers.items():
            urls[name] = (await stack.enter_async_context(raw_server(server.answer))).url
        wires = {}
        for name in trial.offered:
            wires[name] = open_wire(WirePolicy(base_url=urls[name]), static_token("token"))
            stack.push_async_callback(wires[name].close)
        delivery = DeliverySettings(
            memory_records_max=trial.records_max, stop_deadline_s=0, user_records_max=1_000
        )
        engine = _engine(delivery, list(trial.offered))
        emit = _nothing
        road = stream_road(
            engine, PacedSource(trial), wires, NoDeadLetters(),
            emit=emit, clock=SystemClock(), policy=delivery,
            reporter=Reporter(engine, emit, delivery),
        )  # fmt: skip
        most = 0
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(road.run())
            ends_at = loop.time() + seconds
            while loop.time() < ends_at:
                await asyncio.sleep(0.1)
                most = max(most, engine.custody.ledger.open)
            late_s = engine.senders[FINE].lateness.quantile(0.99) or 0.0
            running.cancel()
    fine = servers[FINE].stored
    gap_s = max(later - one for one, later in itertools.pairwise(fine))
    return (
        f"{trial.name:34} {len(fine) / seconds:8.0f} {late_s:9.2f} {gap_s:9.2f} "
        f"{len(servers[SLOW].stored) / seconds:8.0f} {most:8,} {trial.records_max:8,} "
        f"{_lost(engine, servers):5} {sum(s.out_of_order for s in servers.values()):6}"
    )


def _lost(engine: Engine, servers: Mapping[str, Server]) -> int:
    """Records taken that are neither stored nor held."""
    ledger = engine.custody.ledger
    held = sum(sender.held().records for sender in engine.senders.values())
    return (
        ledger.taken
        - ledger.delivered
        - held
        + max(0, ledger.delivered - sum(len(server.stored) for server in servers.values()))
    )


def _engine(delivery: DeliverySettings, names: list[str]) -> Engine:
    mapping = MappingPolicy(identity=IdentityPolicy(default_compartment_id="1"))
    routes = Routes(chooser(RoutingPolicy(field="site_id"), names), dict.fromkeys(names, mapping))
    first, *others = names
    policy = delivery.engine("1")
    return Engine(
        policy,
        interpreter(InterpretPolicy(DecodingPolicy(), mapping, routes=routes)),
        random.Random(1),
        name=first,
        others=dict.fromkeys(others, policy),
    )


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _nothing(_fact: object) -> None:
    pass


async def _all(seconds: float) -> None:
    alone = {FINE: OFFERED[FINE]}
    print(
        f"{'topic':34} {'fine/s':>8} {'late p99':>9} {'gap s':>9} {'slow/s':>8} {'held':>8} "
        f"{'budget':>8} {'lost':>5} {'order':>6}"
    )
    for trial in (
        Trial("fine alone", alone, 20_000),
        Trial("all three in each partition", OFFERED, 20_000),
        Trial("the same, a tenth of the budget", OFFERED, 2_000),
        Trial("partitions apart, a tenth of it", OFFERED, 2_000, apart=True),
    ):
        print(await measured(trial, seconds), flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.datamarts", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    asyncio.run(_all(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
