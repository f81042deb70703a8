"""One contender over one topic, once: start, wait until everything is accepted, stop, judge.

CPU and rate are those between the first POST and the last accepted event: what starting costs is
measured by itself (bench/start_stop.py). CPU is that of the contender's processes, all threads.
"""

import asyncio
import contextlib
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from bench.contenders import Contender, Place
from bench.judge import judge, read
from bench.machine import CACHE, ROOT, cpu_seconds, resident_peak_mb
from bench.sink import Sink, running

_STALL_S = 12.0
"""Without a further accepted event for so long, it is over: what is missing is lost."""


@dataclass(frozen=True)
class Conditions:
    """What the API does, and how long a contender may take."""

    latency_ms: float = 0
    faults: str = ""
    seconds_max: float = 60.0
    tls: bool = False

    @property
    def name(self) -> str:
        """For tables."""
        fault = ", 2 % 429 and 1 % 500" if self.faults else ""
        return f"{self.latency_ms:g} ms{', TLS' if self.tls else ''}{fault}"


@dataclass(frozen=True)
class Topic:
    """A recorded topic and what it holds."""

    name: str
    expected: Sequence[int]

    @property
    def events(self) -> int:
        """How many."""
        return sum(self.expected)


@dataclass(frozen=True)
class Result:
    """What one trial found."""

    contender: str
    finished: bool
    events: int
    accepted: int
    events_per_second: float
    requests_per_second: float
    cpu_us: float
    memory_mb: float
    lateness_p50_s: float
    lateness_p99_s: float
    lost: int
    order_breaks: int
    overlaps: int
    repeated: int
    guarantee: str


@dataclass
class Watched:
    """The sink's counts, and when the first POST came."""

    requests: int = 0
    accepted: int = 0


@contextlib.asynccontextmanager
async def started(command: list[str], count: int, place: Place) -> AsyncIterator[list[int]]:
    """The contender's processes, by pid; ended by SIGTERM, and by SIGKILL if that does nothing."""
    log = (place.home / "contender.log").open("ab")
    # Where OpenSSL, Go and httpx look for the authorities to trust.
    trusting = ["env", f"SSL_CERT_FILE={place.ca}", *command] if place.ca else command
    processes = [
        subprocess.Popen(trusting, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)  # noqa: ASYNC220
        for _ in range(count)
    ]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                await asyncio.to_thread(process.wait, 30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        log.close()


async def seen(client: httpx.AsyncClient, sink: Sink) -> Watched:
    """What the sink has had so far."""
    found = (await client.get(sink.url + "/_seen")).json()
    return Watched(found["requests"], found["accepted"])


async def trial(
    contender: Contender,
    bootstrap: str,
    topic: Topic,
    conditions: Conditions,
    *,
    feed: Callable[[], None] | None = None,
) -> Result:
    """Runs it. `feed` fills the topic meanwhile, for lateness at a fixed rate."""
    CACHE.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(dir=CACHE, prefix="trial-"))
    try:
        return await _trial(contender, bootstrap, topic, conditions, home=home, feed=feed)
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def _trial(
    contender: Contender,
    bootstrap: str,
    topic: Topic,
    conditions: Conditions,
    *,
    home: Path,
    feed: Callable[[], None] | None,
) -> Result:
    log = home / "sink.log"
    group = f"bench-{home.name}"
    cpu_us = memory_mb = 0.0
    ca = home / "ca.pem" if conditions.tls else None
    async with running(
        log=log, latency_ms=conditions.latency_ms, faults=conditions.faults, tls=ca
    ) as sink:
        place = Place(bootstrap, topic.name, group, sink.url, topic.events, home, ca)
        command = contender.command(place)
        async with (
            httpx.AsyncClient(verify=True if ca is None else _trusting(ca)) as client,
            started(command, contender.processes, place) as pids,
        ):
            if feed is not None:
                await asyncio.sleep(4)  # it has joined its group by then
                await asyncio.to_thread(feed)
            first: Watched | None = None
            cpu_before, began = 0.0, 0.0
            last, moved_at = Watched(), time.perf_counter()
            while True:
                await asyncio.sleep(0.02 if first is None else 0.1)
                now = time.perf_counter()
                with contextlib.suppress(FileNotFoundError):  # a contender that ended by itself
                    cpu = sum(map(cpu_seconds, pids))
                    memory_mb = max(memory_mb, sum(map(resident_peak_mb, pids)))
                counts = await seen(client, sink)
                if counts.requests and first is None:
                    first, cpu_before, began = counts, cpu, now
                if counts.accepted > last.accepted:
                    last, moved_at = counts, now
                if first is not None and last.accepted > first.accepted:
                    cpu_us = (cpu - cpu_before) / (last.accepted - first.accepted) * 1e6
                finished = last.accepted >= topic.events
                over = first is not None and now - began > conditions.seconds_max
                if finished or over or now - moved_at > max(_STALL_S, conditions.seconds_max):
                    break
            # What is repeated comes late: a moment for it to show.
            await asyncio.sleep(0.3)
    if first is None:
        said = (home / "contender.log").read_text(errors="replace").strip()
        print(f"{contender.name} posted nothing; it said: {said[-2000:] or 'nothing'}")
    with log.open() as lines:
        found = judge(read(lines), topic.expected)
    cut = over and not finished
    result = Result(
        contender=contender.name,
        finished=finished,
        events=topic.events,
        accepted=found.accepted,
        events_per_second=found.events_per_second,
        requests_per_second=found.requests / found.seconds if found.seconds else 0.0,
        cpu_us=cpu_us,
        memory_mb=memory_mb,
        lateness_p50_s=found.lateness_p50_s,
        lateness_p99_s=found.lateness_p99_s,
        lost=found.lost,
        order_breaks=found.order_breaks,
        overlaps=found.overlaps,
        repeated=found.repeated,
        guarantee=found.guarantee,
    )
    # One that was stopped by the clock has lost nothing by that; gaps would be order breaks.
    return replace(result, lost=0, guarantee=_of_part(found.guarantee)) if cut else result


def _trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)


def _of_part(guarantee: str) -> str:
    return guarantee.split(",", maxsplit=1)[0] + ", stopped by the clock"
