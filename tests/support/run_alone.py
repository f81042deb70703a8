"""`relay run` as a process without a Kafka.

It waits for a broker; that is enough to ask how it starts, what it writes to, and how it ends.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from tests.support.kafka_admin import wait_for
from tests.support.road import bare_environ

RELAY = (sys.executable, "-m", "relay")
STOP = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}


def unused_ports(count: int = 1) -> int:
    """The first of `count` ports in a row that nobody listens on."""
    while True:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            try:
                for number in range(1, count):
                    stack.enter_context(socket.create_server(("127.0.0.1", first + number)))
            except OSError:
                continue
            return int(first)


class Alone:
    """A relay whose Kafka is not there."""

    def __init__(
        self,
        *options: str,
        wrap: Sequence[str] = (),
        held_back: Collection[signal.Signals] = (),
        stdout: Any = subprocess.DEVNULL,
        stderr: Any = subprocess.DEVNULL,
        stdin: Any = subprocess.DEVNULL,
        **settings: str,
    ) -> None:
        self.port = unused_ports(2)
        self._workers: list[int] = []
        environ = {
            "RELAY_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "RELAY_KAFKA__START_TIMEOUT_S": "600",
            "RELAY_TRACKING__BASE_URL": "http://127.0.0.1:1",
            "RELAY_TRACKING__DATAMART_ID": "1",
            "RELAY_TRACKING__API_TOKEN": "token",
            "RELAY_ADMIN__PORT": str(self.port),
            **{f"RELAY_{name}": value for name, value in settings.items()},
        }
        # A process inherits which signals are held back.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, held_back)
        try:
            self.process = subprocess.Popen(
                [*wrap, *RELAY, "run", *options],
                env={**bare_environ(), **environ},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    @property
    def pid(self) -> int:
        return self.process.pid

    def answers(self, port: int | None = None) -> bool:
        """Whether the admin port does. Fails when the process has ended."""
        assert self.process.poll() is None, f"ended with {self.process.returncode}"
        try:
            answer = httpx.get(f"http://127.0.0.1:{port or self.port}/livez", timeout=5)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def until_it_answers(self, ports: int = 1) -> None:
        for port in range(self.port, self.port + ports):
            wait_for(lambda port=port: self.answers(port), 60, "the admin port does not answer")

    def metric(self, name: str) -> float:
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=30).text
        (value,) = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(value)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def __enter__(self) -> Self:
        return self

    def workers(self) -> list[int]:
        """Its processes; those that outlive it are killed at the end."""
        self._workers = children(self.pid)
        return self._workers

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(30)
        for pid in self._workers:
            if not is_gone(pid):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def unread_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that is full already: the end to read from, and the end to write to."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b" " * 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n")
    os.set_blocking(writing, True)
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def drain(reading: int) -> bytes:
    """What lies in the pipe now."""
    flags = fcntl.fcntl(reading, fcntl.F_GETFL)
    fcntl.fcntl(reading, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    found = b""
    with contextlib.suppress(BlockingIOError):
        while data := os.read(reading, 65536):
            found += data
    return found


def facts(text: bytes) -> list[dict[str, Any]]:
    """The log lines in `text`."""
    lines = map(bytes.strip, text.splitlines())
    return [json.loads(line) for line in lines if line.startswith(b"{")]


def cpu_ticks(pid: int) -> int:
    """What a process has used of the processor, in ticks of 10 ms; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(one) for one in text.split()]


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] == "Z"
