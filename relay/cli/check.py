"""`relay check`: settings, cluster, topics and API in, one line per finding out."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import typer

from relay.checks.finding import Finding, Level, failure, ok
from relay.cli.options import ConfigOption, JsonOption
from relay.errors import SettingsError

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(check)


def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check that everything that a run needs is there. Nothing is moved or stored.

    A line per finding: ok, warn or fail, and what to do. The API is asked with a body that is no
    JSON, which it can only refuse. Exit status: that of the first failure, as `relay run` would.

    Example: relay check --config relay.yaml
    """
    import asyncio

    from relay.telemetry.log import silence

    silence()
    findings: list[Finding] = []

    async def look() -> None:
        async with aclosing(_findings(config)) as found:
            async for finding in found:
                findings.append(finding)
                if not as_json:
                    _show(finding)

    asyncio.run(look())
    failed = [finding for finding in findings if finding.level is Level.FAIL]
    if as_json:
        typer.echo(json.dumps({"ok": not failed, "findings": [_plain(f) for f in findings]}))
    if failed:
        raise typer.Exit(failed[0].status)


async def _findings(config: Path | None) -> AsyncGenerator[Finding]:
    from relay.checks.disk import check_disk
    from relay.checks.imports import check_imports
    from relay.checks.kafka import check_kafka
    from relay.checks.mapping import check_mapping
    from relay.checks.registry import check_registry
    from relay.checks.segments import check_segments
    from relay.checks.sources import check_sources
    from relay.checks.tracking import check_destinations
    from relay.cli.check_maps import check_maps
    from relay.settings import load

    try:
        settings = load(config)
    except SettingsError as error:
        for line in error.problem.splitlines():
            yield failure("settings", SettingsError(line))
        return
    yield ok("settings", "complete, and nothing contradicts")
    for finding in (
        *check_mapping(settings.mapping),
        *check_sources(settings),
        *check_maps(settings, config),
    ):
        yield finding
    async for finding in check_kafka(
        settings.kafka, settings.dead_letter, settings.delivery.order_by
    ):
        yield finding
    async for finding in check_registry(settings):
        yield finding
    async for finding in check_destinations(settings.sending):
        yield finding
    if settings.segments.membership.enabled:
        yield check_disk()
        yield await check_imports(settings)
    async for finding in check_segments(settings):
        yield finding


def _show(finding: Finding) -> None:
    level = typer.style(f"{finding.level.value:4}", fg=_COLOURS[finding.level])
    hint = "" if finding.hint is None else f" ({finding.hint})"
    typer.echo(f"{level}  {finding.subject}: {finding.text}{hint}")


def _plain(finding: Finding) -> dict[str, str | None]:
    return {
        "level": finding.level.value,
        "subject": finding.subject,
        "text": finding.text,
        "hint": finding.hint,
    }
