"""Who is measured: how each is started, and the order that its configuration is meant to keep.

Each program runs until SIGTERM.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import BenchError
from bench.toolchains import BENTHOS, benthos_core, peers_python, peers_python_312
from bench.topic import PARTITIONS
from bench.workload import COMPARTMENT, DATAMART

NOT_MEASURED = {
    "Bento": "the Go module proxy answers 403, “This module version is not available”, for "
    "github.com/warpstreamlabs/bento (v1.12.0, v1.9.1; asked on 2026-11-25). What it is a fork of, "
    "and shares the engine and the HTTP output with, is measured as “Benthos core”",
    "Snowbridge": "the Go module proxy answers 403, “This module version is not available”, for "
    "github.com/snowplow/snowbridge (v1 to v5, v5.1.1; asked on 2026-11-25)",
    "Kafka Connect, Aiven's HTTP sink": "Maven finds no io.aiven:http-connector-for-apache-kafka "
    "(0.9.0, 0.8.0; asked on 2026-11-25)",
}
"""Peers that could not be had when the results were made, and why."""


@dataclass(frozen=True)
class Place:
    """Where a contender works in one trial."""

    bootstrap: str
    topic: str
    group: str
    url: str
    events: int
    home: Path
    """For the files of this trial."""
    ca: Path | None = None
    """The authority to trust; the API speaks TLS then."""


@dataclass(frozen=True)
class Contender:
    """A program in one configuration.

    `slots` are the requests it can have under way at once, and `rate` is roughly what it reaches
    without latency: they only decide how many events it gets in a trial that must end. `prepare`
    makes what it is started with, or raises BenchError, which says why it cannot be had here.
    """

    name: str
    about: str
    order: str
    slots: int
    rate: float
    command: Callable[[Place], list[str]]
    prepare: Callable[[], object] = bool
    processes: int = 1
    is_relay: bool = False
    coalesces: bool = False

    def estimate(self, latency_s: float, zipf: float) -> float:
        """Events a second to expect: the largest user or partition waits for itself."""
        if latency_s == 0:
            return self.rate
        share = 0.0
        if self.order == "per partition":
            share = 1.0 if self.slots == 1 else 0.22 if zipf else 1 / PARTITIONS
        elif self.order == "per user":
            share = (0.01 if self.coalesces else 0.146) if zipf else 0.0
        serial = 1 / (latency_s * share) if share else self.rate
        return min(self.rate, self.slots / latency_s, serial)


def relay_config(place: Place, *, coalesce: bool, **delivery: object) -> Path:
    """The settings of a relay in its default configuration, as one would deploy it."""
    document = {
        "kafka": {
            "bootstrap_servers": place.bootstrap,
            "topics": [place.topic],
            "group_id": place.group,
        },
        "tracking": {
            "base_url": place.url,
            "datamart_id": DATAMART,
            "api_token": "api:token",
            **({"ca_file": str(place.ca)} if place.ca else {}),
        },
        "identity": {"default_compartment_id": COMPARTMENT},
        "delivery": {
            **delivery,
            **({} if coalesce else {"coalesce": {"events_max": 1}}),
        },
        "admin": {"port": 0},
        "log": {"format": "json"},
    }
    path = place.home / f"{place.group}.yaml"
    path.write_text(json.dumps(document))  # JSON is YAML
    return path


def _relay(name: str, *, coalesce: bool, processes: int = 1, order_by: str = "user") -> Contender:
    def command(place: Place) -> list[str]:
        config = relay_config(place, coalesce=coalesce, order_by=order_by)
        return [sys.executable, "-m", "relay", "run", "--config", str(config)]

    about = f"`relay run`, default settings, coalescing {'on' if coalesce else 'off'}"
    order = {"user": "per user", "none": "none"}[order_by]
    if order_by != "user":
        about += f", `order_by: {order_by}`"
    return Contender(
        name, about, order, 256, 10_000, command,
        processes=processes, is_relay=True, coalesces=coalesce,
    )  # fmt: skip


def _plain(in_flight: int, order: str) -> Contender:
    def command(place: Place) -> list[str]:
        return [
            *(sys.executable, "-m", "bench.plain_loop"),
            *("--bootstrap", place.bootstrap, "--topic", place.topic, "--group", place.group),
            *("--url", place.url, "--events", str(place.events), "--in-flight", str(in_flight)),
        ]

    about = f"aiokafka and one httpx.AsyncClient, {in_flight} in flight"
    return Contender(
        f"plain loop, {in_flight}",
        about,
        order,
        in_flight,
        900 if in_flight == 1 else 200,
        command,
    )


def _peer(
    name: str,
    about: str,
    *,
    module: str,
    mode: str,
    order: str,
    slots: int,
    rate: float,
    python: Callable[[], Path] = peers_python,
) -> Contender:
    def command(place: Place) -> list[str]:
        return [
            *(str(python()), "-m", f"bench.peers.{module}"),
            *(place.bootstrap, place.topic, place.group, place.url),
            mode,
        ]

    return Contender(name, about, order, slots, rate, command, prepare=python)


def _benthos(
    name: str, about: str, *, config: str, order: str, slots: int, rate: float
) -> Contender:
    def command(place: Place) -> list[str]:
        return [
            *(str(benthos_core()), str(BENTHOS / f"{config}.yaml")),
            *(f"BOOTSTRAP={place.bootstrap}", f"TOPIC={place.topic}"),
            *(f"GROUP={place.group}", f"URL={place.url}"),
        ]

    return Contender(
        f"Benthos core, {name}", about, order, slots, rate, command, prepare=benthos_core
    )


RELAY = _relay("Relay", coalesce=True)
RELAY_OFF = _relay("Relay, coalescing off", coalesce=False)
BENTHOS_BY_PARTITION = _benthos(
    "per partition",
    "the engine and HTTP output that Bento is a fork of, 256 idle connections kept (its own "
    "pool keeps 2); a Kafka input of our own on franz-go, which commits what is acknowledged; "
    "`checkpoint_limit: 1`, batches of 100 of a partition, posted one event after another, the "
    "partitions side by side",
    config="per_partition", order="per partition", slots=12, rate=8_000,
)  # fmt: skip
BENTHOS_BY_USER = _benthos(
    "per user",
    "as per partition, with batches of 1,000, each split by `group_by_value` on the key, the users "
    "of a batch side by side, `max_in_flight: 256`",
    config="per_user", order="per user", slots=256, rate=8_000,
)  # fmt: skip
MQ_BRIDGE = _peer(
    "mq-bridge, in order",
    "its Rust core; a route of `concurrency: 1`, batches of 512, `batch_concurrency: 1`, `retry`, "
    "and the same activity made by `transform`",
    module="mq_bridge_route", mode="ordered", order="per partition", slots=1, rate=12_000,
)  # fmt: skip
MQ_BRIDGE_RAW = _peer(
    "mq-bridge, in order, raw",
    "the same without `transform`: it maps nothing and posts the record as it is, in which the "
    "sink finds the event as well",
    module="mq_bridge_route", mode="raw", order="per partition", slots=1, rate=15_000,
)  # fmt: skip
PLAIN = _plain(1, "per partition")
CONTENDERS = (
    RELAY,
    RELAY_OFF,
    _relay("Relay, 2 workers", coalesce=True, processes=2),
    _relay("Relay, 2 workers, off", coalesce=False, processes=2),
    _relay("Relay, no order, off", coalesce=False, order_by="none"),
    PLAIN,
    _plain(64, "none"),
    _peer(
        "FastStream, 12 workers",
        "aiokafka, ACK, 12 workers (a consumer for each partition), aiohttp, uvloop",
        module="faststream_loop", mode="ordered", order="per partition", slots=12, rate=700,
    ),
    _peer(
        "FastStream, batches",
        "aiokafka, ACK, one consumer and whole batches, aiohttp, uvloop",
        module="faststream_loop", mode="batches", order="per partition", slots=1, rate=2_000,
    ),
    _peer(
        "FastStream, unordered",
        "aiokafka, ACK_FIRST (at most once), 64 workers, aiohttp, uvloop",
        module="faststream_loop", mode="unordered", order="none", slots=64, rate=1_500,
    ),
    _peer(
        "FastStream concurrent, 1",
        "faststream-concurrent-aiokafka, one task at a time (it knows no order but this), a commit "
        "for each 1,000 messages or second, aiohttp, uvloop",
        module="faststream_concurrent", mode="1", order="per partition", slots=1, rate=1_500,
    ),
    _peer(
        "FastStream concurrent, 64",
        "the same, 64 tasks at a time (with 256 it stalls)",
        module="faststream_concurrent", mode="64", order="none", slots=64, rate=1_500,
    ),
    _peer(
        "pyrallel-consumer",
        "its asyncio engine in order of the keys (`key_hash`), `max_in_flight` 256, "
        "`poll_batch_size` 100, aiohttp, uvloop, Python 3.12 or later",
        module="pyrallel_loop", mode="aiohttp", order="per user", slots=256, rate=2_000,
        python=peers_python_312,
    ),
    _peer(
        "pyrallel-consumer, our wire",
        "the same, and it posts by the wire of Relay instead of aiohttp",
        module="pyrallel_loop", mode="relay", order="per user", slots=256, rate=2_500,
        python=peers_python_312,
    ),
    _peer(
        "Quix, ordered",
        "BatchingSink, one requests.Session",
        module="quix_loop", mode="ordered", order="per partition", slots=1, rate=2_000,
    ),
    _peer(
        "Quix, unordered",
        "BatchingSink, 32 threads on one requests.Session",
        module="quix_loop", mode="unordered", order="none", slots=32, rate=2_000,
    ),
    BENTHOS_BY_PARTITION,
    BENTHOS_BY_USER,
    _benthos(
        "unordered",
        "the same with `checkpoint_limit: 1024`, no batches, `max_in_flight: 256`",
        config="unordered", order="none", slots=256, rate=8_000,
    ),
    MQ_BRIDGE,
    MQ_BRIDGE_RAW,
    _peer(
        "mq-bridge, unordered",
        "the same with `concurrency: 4` and `batch_concurrency: 64`, and `transform`",
        module="mq_bridge_route", mode="unordered", order="none", slots=256, rate=12_000,
    ),
)  # fmt: skip


def chosen(beginnings: Sequence[str]) -> list[Contender]:
    """Those whose name begins with one of these, all without any; Relay always, for the ratios."""
    if not beginnings:
        return list(CONTENDERS)
    wanted = tuple(beginning.casefold() for beginning in beginnings)
    return [c for c in CONTENDERS if c is RELAY or c.name.casefold().startswith(wanted)]


def available(contenders: Sequence[Contender]) -> list[Contender]:
    """Those that can be started here; it is printed why the others cannot."""
    able: list[Contender] = []
    for contender in contenders:
        try:
            contender.prepare()
        except BenchError as error:
            print(f"left out: {contender.name}: {error}", flush=True)
        else:
            able.append(contender)
    return able
