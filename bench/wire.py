"""How fast each HTTP client posts, and what a request costs: the choice behind the fast wire.

    python -m bench.wire [--seconds 1.0] [--rounds 3] [--tls]

One process, one event loop (uvloop), a 600-byte body, the sink of `bench.sink` on the same
machine. The wires are the very ones of `relay`; next to them stand other clients, written as
their documentation shows. Rounds are interleaved; medians are printed, and then each rate as a
part of that of `relay, fast` in the same round.

`main` is the CPU of the event loop's thread: what is taken from everything else that the process
does. `all` has the client's own threads in it as well.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.machine import BenchError, described
from bench.sink import ceiling, null_log, running
from relay.model import Request
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.token import StaticToken
from relay.stream.sending.wire import WireKind, WirePolicy

PATH = "/v1/datamarts/1/user_activities"
BODY = b'{"$type":"TOUCH","$events":["' + b"x" * 569 + b'"]}'
HEADERS = {"authorization": "api:token", "content-type": "application/json"}
ENOUGH = 256 * 1024
OURS = "relay, fast"

Send = Callable[[], Awaitable[int]]
Contender = Callable[[str, Path | None], contextlib.AbstractAsyncContextManager[Send]]


@dataclass(frozen=True)
class Figure:
    """One contender at one concurrency."""

    per_second: float
    main_us: float
    all_us: float


@contextlib.asynccontextmanager
async def relay_wire(url: str, ca: Path | None, kind: WireKind) -> AsyncIterator[Send]:
    """One of relay's own."""
    wire = open_wire(WirePolicy(base_url=url, wire=kind, ca_file=ca), StaticToken("api:token"))
    request = Request("POST", PATH, BODY)

    async def send() -> int:
        return (await wire.send(request)).status

    yield send
    await wire.close()


@contextlib.asynccontextmanager
async def bare_pyreqwest(url: str, ca: Path | None) -> AsyncIterator[Send]:
    """A Rust client with a thread of its own."""
    from pyreqwest.client import ClientBuilder  # noqa: PLC0415 - not a dependency of relay

    builder = ClientBuilder()
    if ca is not None:
        builder = builder.add_root_certificate_pem(ca.read_bytes())  # noqa: ASYNC240
    async with builder.build() as client:

        async def send() -> int:
            request = client.post(url + PATH).headers(HEADERS).body_bytes(BODY).build()
            response = await request.send()
            await response.bytes()
            return response.status

        yield send


@contextlib.asynccontextmanager
async def bare_aiohttp(url: str, ca: Path | None) -> AsyncIterator[Send]:
    """The usual choice."""
    import aiohttp  # noqa: PLC0415 - not a dependency of relay

    trusted = True if ca is None else ssl.create_default_context(cafile=ca)
    connector = aiohttp.TCPConnector(limit=0, ssl=trusted)
    timeout = aiohttp.ClientTimeout(total=30, sock_connect=5, sock_read=15)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def send() -> int:
            async with session.post(
                url + PATH, data=BODY, headers=HEADERS, allow_redirects=False
            ) as response:
                await response.content.read(ENOUGH)
                return response.status

        yield send


CONTENDERS: dict[str, Contender] = {
    OURS: lambda url, ca: relay_wire(url, ca, WireKind.FAST),
    "relay, httpx": lambda url, ca: relay_wire(url, ca, WireKind.HTTPX),
}
# Those of bench/requirements.txt that are there.
if importlib.util.find_spec("pyreqwest") is not None:
    CONTENDERS["pyreqwest, bare"] = bare_pyreqwest
if importlib.util.find_spec("aiohttp") is not None:
    CONTENDERS["aiohttp, bare"] = bare_aiohttp


async def measure(send: Send, concurrency: int, seconds: float) -> Figure:
    """Keeps `concurrency` requests in flight for a while."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    done = 0

    async def worker() -> None:
        nonlocal done
        while loop.time() < until:
            status = await send()
            if status != 200:
                raise BenchError(f"the sink answered {status}")
            done += 1

    began = time.perf_counter(), time.thread_time(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())
    ended = time.perf_counter(), time.thread_time(), time.process_time()
    wall, main, everything = (after - before for before, after in zip(began, ended, strict=True))
    return Figure(done / wall, main / done * 1e6, everything / done * 1e6)


async def run(seconds: float, rounds: int, concurrencies: tuple[int, ...], ca: Path | None) -> None:
    """Every contender at every concurrency, round by round, then the tables."""
    figures: dict[tuple[str, int], list[Figure]] = {}
    async with running(log=null_log(), tls=ca) as sink:
        for number in range(rounds):
            names = list(CONTENDERS)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                async with CONTENDERS[name](sink.url, ca) as send:
                    for concurrency in concurrencies:
                        await measure(send, concurrency, 0.3)  # warm: connections, caches
                        figure = await measure(send, concurrency, seconds)
                        figures.setdefault((name, concurrency), []).append(figure)
    print(f"{'in flight':>28}" + "".join(f"{c:>24}" for c in concurrencies))
    for name in CONTENDERS:
        cells = []
        for concurrency in concurrencies:
            runs = figures[name, concurrency]
            rate = statistics.median(run.per_second for run in runs)
            main = statistics.median(run.main_us for run in runs)
            everything = statistics.median(run.all_us for run in runs)
            cells.append(f"{rate:8,.0f}/s {main:4.0f}/{everything:4.0f} µs".rjust(24))
        print(f"{name:>28}" + "".join(cells))
    print("rate as a part of ours, round by round")
    for name in CONTENDERS:
        cells = []
        for concurrency in concurrencies:
            pairs = zip(figures[name, concurrency], figures[OURS, concurrency], strict=True)
            parts = [run.per_second / ours.per_second for run, ours in pairs]
            cells.append("  " + " ".join(f"{part:.2f}" for part in parts).rjust(22))
        print(f"{name:>28}" + "".join(cells))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.wire", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args()
    others = [name for name in ("pyreqwest", "aiohttp") if importlib.util.find_spec(name)]
    print(described("httptools", "httpx", "uvloop", *others))
    if len(others) < 2:
        print("without some contenders: pip install -r bench/requirements.txt")
    print("requests/s, CPU per request of the loop's thread / of all threads; medians")
    try:
        rate, cpu = asyncio.run(ceiling(64, BODY, null_log()))
        print(
            f"{'wrk, 64 connections':>28}{rate:12,.0f}/s; the sink takes {cpu:.0f} µs CPU a request"
        )
    except BenchError as error:
        print(f"without wrk: {error}")
    with tempfile.TemporaryDirectory() as home:
        ca = Path(home) / "ca.pem" if given.tls else None
        uvloop.run(run(given.seconds, given.rounds, tuple(given.in_flight), ca))


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench.wire: {error}")
