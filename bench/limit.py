"""The limit: the bare wire posting what relay would post, with no Kafka and no guarantee.

    python -m bench.limit [--seconds 2] [--rounds 3] [--in-flight 64 256]

The bodies are made beforehand, by the very decoding and mapping of relay, from the same events
that the contenders get. What `relay run` reaches is to be read as a share of this; wrk, in C,
shows how far the sink itself is from being the limit.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench.machine import BenchError, described
from bench.sink import ceiling, null_log, running
from bench.wire import Figure, measure
from bench.workload import COMPARTMENT, DATAMART, Workload
from relay.model import Activity, Request, Undecodable, Unwanted
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.mapping import map_event
from relay.stream.mapping.policy import IdentityPolicy, MappingPolicy
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.token import StaticToken
from relay.stream.sending.wire import WireKind, WirePolicy

NOW_MS = 1_767_261_700_000  # just after the events of `Workload` happened


def bodies(workload: Workload) -> list[bytes]:
    """What relay posts for each event of a workload."""
    identity = IdentityPolicy(default_compartment_id=COMPARTMENT)
    policy = MappingPolicy(identity=identity)
    made = []
    for event in workload.make():
        decoded = decode(event.value, DecodingPolicy())
        if isinstance(decoded, Undecodable | Unwanted):
            raise BenchError(f"the workload is not decodable: {decoded.reason}")
        activity = map_event(decoded, policy, NOW_MS)
        if not isinstance(activity, Activity):
            raise BenchError(f"the workload is not mappable: {activity.reason}")
        made.append(activity.body())
    return made


async def bare_loop(
    policy: WirePolicy, posted: list[bytes], in_flight: int, seconds: float
) -> Figure:
    """Keeps `in_flight` requests going for a while."""
    wire = open_wire(policy, StaticToken("api:token"))
    path = f"/v1/datamarts/{DATAMART}/user_activities"
    requests = itertools.cycle([Request("POST", path, body) for body in posted])

    async def send() -> int:
        return (await wire.send(next(requests))).status

    await measure(send, in_flight, 0.3)  # warm: connections, caches
    figure = await measure(send, in_flight, seconds)
    await wire.close()
    return figure


async def measured(
    seconds: float,
    rounds: int,
    in_flight: Sequence[int] = (64, 256),
    kind: WireKind = WireKind.FAST,
) -> dict[str, Any]:
    """Rounds at each number in flight, over plain HTTP and over TLS; medians, and the spread."""
    posted = bodies(Workload(events=5_000))
    size = statistics.mean(map(len, posted))
    rate, cpu_us = await ceiling(64, posted[0], null_log())
    print(f"bodies of {size:.0f} bytes; wrk, 64 connections: {rate:,.0f} requests/s,")
    print(f"of which the sink takes {cpu_us:.1f} µs CPU each")
    figures: dict[tuple[bool, int], list[Figure]] = {}
    with tempfile.TemporaryDirectory() as home:
        ca = Path(home) / "ca.pem"
        async with running(log=null_log()) as plain, running(log=null_log(), tls=ca) as secured:
            policies = {
                False: WirePolicy(base_url=plain.url, wire=kind),
                True: WirePolicy(base_url=secured.url, wire=kind, ca_file=ca),
            }
            for _ in range(rounds):
                for tls, policy in policies.items():
                    for count in in_flight:
                        figure = await bare_loop(policy, posted, count, seconds)
                        figures.setdefault((tls, count), []).append(figure)
    found = []
    for (tls, count), several in figures.items():
        rates = [figure.per_second for figure in several]
        # What was started by the wire's client counts as well; the wire of today has one thread.
        cpu_us_each = statistics.median(figure.all_us for figure in several)
        print(
            f"wire {kind}{', TLS' if tls else ''}, {count:4} in flight: "
            f"{statistics.median(rates):9,.0f} requests/s ({min(rates):,.0f} to "
            f"{max(rates):,.0f}), {cpu_us_each:.0f} µs CPU"
        )
        found.append({"tls": tls, "in_flight": count, "rates": rates, "cpu_us": cpu_us_each})
    return {"wrk": rate, "sink_us": cpu_us, "body_bytes": size, "wire": found}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.limit", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--wire", type=WireKind, choices=list(WireKind), default=WireKind.FAST)
    given = parser.parse_args()
    print(described("httptools", "uvloop"))
    uvloop.run(measured(given.seconds, given.rounds, given.in_flight, given.wire))


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench.limit: {error}")
