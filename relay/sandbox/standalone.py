"""The sandbox as a program of its own: options and a fault plan in, serving until a signal."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import uvloop
from pydantic import ValidationError

from relay.errors import InputError
from relay.sandbox.app import create_app
from relay.sandbox.faults import FaultPlan, explain
from relay.sandbox.options import SandboxOptions
from relay.sandbox.server import serve


def run(
    options: SandboxOptions,
    plan: FaultPlan,
    host: str,
    port: int,
    announce: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM. `announce` is called with the base address."""

    async def serve_until_signal() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        app = create_app(options)
        app.state.sandbox.set_faults(plan)
        async with serve(app, host, port) as url:
            announce(url)
            await stop.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_until_signal())


def read_plan(file: Path) -> FaultPlan:
    """The fault plan in `file`.

    Raises:
        InputError: It cannot be read, or is none.
    """
    try:
        return FaultPlan.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the fault plan {file}: {error.strerror}") from error
    except ValidationError as error:
        raise InputError(f"the fault plan {file} is not valid: {explain(error)}") from error
