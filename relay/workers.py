"""`relay run --workers N`: N processes in one consumer group, watched and kept alive.

The group does the sharing; this only starts processes, hands signals on and restarts what dies.
A worker that ends with a cause that a restart cannot fix (settings, credentials, a missing topic)
ends all of them, with its status.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from relay.backoff import RestartPolicy
from relay.errors import ExitStatus
from relay.process_facts import WorkerEnded, WorkerStarted
from relay.process_start import stop_signals
from relay.settings import Settings
from relay.telemetry.facts import Emit

_MENDED_BY_RESTART = frozenset({ExitStatus.BUG, ExitStatus.KAFKA_UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Worker:
    """What one worker is started with, beyond the environment that all share."""

    number: int
    command: Sequence[str]
    environ: Mapping[str, str]


class Supervisor:
    """Runs the workers until a signal, or until one of them ends for good."""

    def __init__(self, policy: RestartPolicy, workers: Sequence[Worker], emit: Emit) -> None:
        self._policy = policy
        self._workers = workers
        self._emit = emit
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._status = 0
        self._spawning = asyncio.Lock()

    async def run(self) -> int:
        """Returns the exit status: that of the first worker that ended for good, else 0.

        Of a worker that a signal ended it is 128 and the number of the signal, as shells say it.
        """
        loop = asyncio.get_running_loop()
        for number in stop_signals():
            loop.add_signal_handler(number, self._signalled, number)
        with _lifeline() as self._lifeline:
            async with asyncio.TaskGroup() as tasks:
                for worker in self._workers:
                    tasks.create_task(self._keep(worker))
                await self._stopping.wait()
        return self._status if self._status >= 0 else 128 - self._status

    def _signalled(self, number: signal.Signals) -> None:
        """The first signal drains the workers; what they get a second time ends them at once."""
        if number == signal.SIGHUP and self._stopping.is_set():
            return  # the terminal is gone: no second request
        self._stop_workers()

    def _stop_workers(self) -> None:
        self._stopping.set()
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)

    async def _keep(self, worker: Worker) -> None:
        loop = asyncio.get_running_loop()
        deaths = 0
        while not self._stopping.is_set():
            started = loop.time()
            status = await self._run_once(worker)
            if self._stopping.is_set():
                self._status = self._status or status
                return
            if status == 0 or (status > 0 and status not in _MENDED_BY_RESTART):
                self._emit(WorkerEnded(worker=worker.number, status=status, restart_in_s=0.0))
                self._status = status
                self._stop_workers()
                return
            deaths = self._policy.failures(deaths, loop.time() - started)
            wait_s = self._policy.wait_s(deaths)
            self._emit(WorkerEnded(worker=worker.number, status=status, restart_in_s=wait_s))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stopping.wait()

    async def _run_once(self, worker: Worker) -> int:
        process = await self._spawn(worker)
        self._running[worker.number] = process
        self._emit(WorkerStarted(worker=worker.number, pid=process.pid))
        if self._stopping.is_set():  # while it was started
            process.send_signal(signal.SIGTERM)
        try:
            return await process.wait()
        finally:
            del self._running[worker.number]

    async def _spawn(self, worker: Worker) -> asyncio.subprocess.Process:
        # A process inherits which signals are held back: the worker lets them in when it can hear
        # them (relay.process_start). One after the other, as this process is deaf meanwhile.
        async with self._spawning:
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals())
            try:
                return await asyncio.create_subprocess_exec(
                    *worker.command,
                    env=dict(worker.environ),
                    stdin=self._lifeline,
                    # Ctrl-C goes to a whole process group: the workers would hear it from the
                    # terminal and from us, and a second signal means "at once".
                    start_new_session=True,
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def _lifeline() -> Iterator[int]:
    """The reading end of a pipe that only this process can write to: it ends when we do."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def workers(
    count: int, arguments: Sequence[str], environ: Mapping[str, str], settings: Settings
) -> list[Worker]:
    """The same relay as this one, `count` times: each with an admin port and a name of its own."""
    made = []
    for number in range(count):
        own = {**environ}
        if settings.admin.port:
            own["RELAY_ADMIN__PORT"] = str(settings.admin.port + number)
        if settings.kafka.group_instance_id:
            own["RELAY_KAFKA__GROUP_INSTANCE_ID"] = f"{settings.kafka.group_instance_id}-{number}"
        command = [sys.executable, "-m", "relay", "run", "--supervised", *arguments]
        made.append(Worker(number, command, own))
    return made
