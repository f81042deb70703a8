"""How long `relay run` takes from exec to its first POST, and from SIGTERM to its exit.

For the stop it has a thousand requests under way, each of which the API takes half a second for;
afterwards a second process finishes the topic, and the judge looks for what was sent twice.
"""

import asyncio
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from bench.compare import Recorded
from bench.contenders import RELAY, Place, relay_config
from bench.judge import judge, read
from bench.machine import CACHE, ROOT, BenchError
from bench.sink import running
from bench.trial import seen

IN_FLIGHT = 1_000
_WAIT_S = 60.0


async def measured(recorded: Recorded, rounds: int) -> dict[str, Any]:
    """Rounds of both."""
    found: dict[str, Any] = {"first_post_s": [], "stops": []}
    for _ in range(rounds):
        found["first_post_s"].append(await first_post(recorded))
        found["stops"].append(await stop_in_full_flight(recorded))
    print(f"  first POST after {_many(found['first_post_s'])} s")
    for stop in found["stops"]:
        print(
            f"  stopped {stop['exit_s']:.2f} s after SIGTERM with {stop['in_flight']} in flight, "
            f"exit status {stop['status']}; {stop['repeated']} repeated, {stop['lost']} lost"
        )
    return found


async def first_post(recorded: Recorded) -> float:
    """Seconds from exec to the arrival of the first POST."""
    topic = recorded.topic(1_000, 0)
    with _home() as home:
        log = home / "sink.log"
        async with running(log=log) as sink, httpx.AsyncClient() as client:
            place = Place(recorded.bootstrap, topic.name, home.name, sink.url, topic.events, home)
            command = RELAY.command(place)
            began_us = time.time_ns() // 1_000
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: ASYNC220
            for _ in range(int(_WAIT_S / 0.05)):
                await asyncio.sleep(0.05)
                if (await seen(client, sink)).requests:
                    break
            await _ended(process)
        with log.open() as lines:
            arrivals = [request.arrived_us for request in read(lines)]
    if not arrivals:
        raise BenchError(f"no POST within {_WAIT_S:.0f} s")
    return (min(arrivals) - began_us) / 1e6


async def stop_in_full_flight(recorded: Recorded) -> dict[str, Any]:
    """SIGTERM with a thousand under way, and the rest of the topic by a second process."""
    topic = recorded.topic(4_000, 0)
    with _home() as home:
        log = home / "sink.log"
        async with running(log=log, latency_ms=500) as sink, httpx.AsyncClient() as client:
            place = Place(recorded.bootstrap, topic.name, home.name, sink.url, topic.events, home)
            config = relay_config(place, coalesce=False, max_in_flight=IN_FLIGHT, fixed_limit=True)
            command = [sys.executable, "-m", "relay", "run", "--config", str(config)]
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: ASYNC220
            under_way = 0
            for _ in range(int(_WAIT_S / 0.01)):
                await asyncio.sleep(0.01)
                counts = await seen(client, sink)
                under_way = counts.requests - counts.accepted
                if under_way >= IN_FLIGHT * 0.95:
                    break
            exit_s, status = await _ended(process)
            second = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: ASYNC220
            for _ in range(int(_WAIT_S / 0.05)):
                await asyncio.sleep(0.05)
                if (await seen(client, sink)).accepted >= topic.events:
                    break
            await asyncio.sleep(1)  # for what is sent twice to show
            await _ended(second)
        with log.open() as lines:
            found = judge(read(lines), topic.expected)
    return {
        "in_flight": under_way,
        "exit_s": exit_s,
        "status": status,
        "repeated": found.repeated,
        "lost": found.lost,
        "order_breaks": found.order_breaks,
    }


async def _ended(process: subprocess.Popen[bytes]) -> tuple[float, int]:
    """Seconds from SIGTERM to the exit, and its status."""
    began = time.perf_counter()
    process.terminate()
    try:
        status = await asyncio.to_thread(process.wait, 40)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    return time.perf_counter() - began, status


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    CACHE.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(dir=CACHE, prefix="stop-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _many(seconds: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in seconds)
