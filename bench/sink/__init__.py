"""The far end of every measurement: builds and runs the HTTP server in main.go.

python -m bench.sink                         its own ceiling, by wrk
python -m bench.sink --serve --latency-ms 20 --faults 429:0.02,500:0.01 --log sink.log
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bench.machine import CACHE, BenchError, cpu_seconds
from bench.toolchains import go_binary

SOURCE = Path(__file__).parent


@dataclass
class Sink:
    """A running sink. `log` is complete once the sink has been stopped."""

    process: asyncio.subprocess.Process
    url: str
    log: Path | None

    def cpu_seconds(self) -> float:
        """What the server has used so far."""
        return cpu_seconds(self.process.pid)


def build() -> Path:
    """The server's binary; built when its source is newer."""
    return go_binary(SOURCE, "sink")


@contextlib.asynccontextmanager
async def running(
    *,
    log: Path | None = None,
    latency_ms: float = 0,
    faults: str = "",
    address: str = "",
    tls: Path | None = None,
) -> AsyncIterator[Sink]:
    """A sink on a free port, stopped at the end, its log written out.

    With `tls` it speaks TLS, and that file is the authority to trust.
    """
    process = await asyncio.create_subprocess_exec(
        build(),
        *(("-address", address) if address else ()),
        *(("-log", str(log)) if log else ()),
        *(("-latency", f"{latency_ms}ms") if latency_ms else ()),
        *(("-faults", faults) if faults else ()),
        *(("-tls", str(tls)) if tls else ()),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        listening = (await process.stdout.readline()).decode().strip()
        if not listening:
            raise BenchError("the sink did not start")
        yield Sink(process, f"http{'s' if tls else ''}://{listening}", log)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def wrk(url: str, *, connections: int, seconds: int = 3, body: bytes) -> float:
    """Requests a second that wrk, a load generator in C, gets out of a server."""
    if shutil.which("wrk") is None:
        raise BenchError("there is no `wrk` on the path (Debian: apt-get install wrk)")
    script = CACHE / "wrk.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = [==[{body.decode()}]==]\n'
        'wrk.headers["Content-Type"] = "application/json"\n'
    )
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(script), url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (rate,) = [line.split()[1] for line in done.stdout.splitlines() if "Requests/sec" in line]
    return float(rate)


async def ceiling(connections: int, body: bytes, log: Path | None = None) -> tuple[float, float]:
    """What the sink itself can take: requests a second, and its CPU µs for each."""
    async with running(log=log) as sink:
        before = sink.cpu_seconds()
        seconds = 3
        rate = await asyncio.to_thread(
            wrk, sink.url + "/v1", connections=connections, seconds=seconds, body=body
        )
        return rate, (sink.cpu_seconds() - before) / (rate * seconds) * 1e6


def null_log() -> Path:
    """A log that costs what a log costs and keeps nothing."""
    return Path(os.devnull)
