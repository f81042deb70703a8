"""`relay sandbox`: command line in, a stand-in of the vendors' APIs on a port until stopped."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.left_out import needs_the_sandbox

if TYPE_CHECKING:  # the sandbox may be left out
    from relay.sandbox.options import SandboxOptions


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the stand-ins behave from the start."""

    token: Annotated[
        list[str] | None,
        typer.Option(help="Accepted Authorization value; repeat for several. Default: any."),
    ] = None
    datamart: Annotated[
        list[str] | None,
        typer.Option(help="Datamart that exists; repeat for several. Default: every number."),
    ] = None
    repeats: Annotated[
        str,
        typer.Option(
            metavar="add|ignore|overwrite",
            help="What an activity does whose $unique_key is known already.",
        ),
    ] = "overwrite"
    log_max: Annotated[
        int, typer.Option(min=0, help="Requests kept for /_sandbox/log; the oldest go first.")
    ] = 200_000
    seed: Annotated[int, typer.Option(help="Where generated ids come from.")] = 0

    def options(self) -> "SandboxOptions":
        """The same, as the sandbox takes it."""
        from relay.sandbox.options import RepeatPolicy, SandboxOptions

        if self.repeats not in list(RepeatPolicy):
            known = ", ".join(RepeatPolicy)
            raise typer.BadParameter(f"must be one of {known}", param_hint="--repeats")
        return SandboxOptions(
            tokens=frozenset(self.token or ()),
            datamarts=frozenset(self.datamart or ()),
            repeat_policy=RepeatPolicy(self.repeats),
            log_max=self.log_max,
            seed=self.seed,
        )


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(sandbox)


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    *,
    behaviour: Behaviour,
    faults: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Fault plan to start with, as PUT /_sandbox/faults takes it.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print its address as one JSON object on stdout.")
    ] = False,
) -> None:
    """Run a stand-in of the vendors' APIs.

    It keeps state, checks the order of each user's events, and fails on demand.

    Example: relay sandbox --port 8080 --token secret

    What it saw: curl localhost:8080/_sandbox/summary

    Faults: curl -X PUT localhost:8080/_sandbox/faults -d
    '{"rules": [{"kind": "status", "status": 429, "rate": 0.1, "retry_after_s": 1}]}'
    """
    needs_the_sandbox()
    from relay.sandbox.faults import FaultPlan
    from relay.sandbox.standalone import read_plan, run

    options = behaviour.options()

    def announce(url: str) -> None:
        if as_json:
            typer.echo(json.dumps({"url": url}))
            return
        accepted = "the given tokens" if options.tokens else "any token"
        typer.echo(f"sandbox at {url}, accepts {accepted}; Ctrl-C stops it")
        typer.echo(f"what it saw: curl {url}/_sandbox/summary")

    run(options, FaultPlan() if faults is None else read_plan(faults), host, port, announce)
