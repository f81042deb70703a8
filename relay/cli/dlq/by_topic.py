"""Chosen dead letters → their topics; what `relay dlq replay` does and says."""

import asyncio
import json
from collections.abc import Sequence

import typer

from relay.dead_letters.search import send_again
from relay.dead_letters.selection import Selection
from relay.settings import Settings


def replay_by_topic(
    settings: Settings,
    topics: Sequence[str],
    selection: Selection,
    limit: int | None,
    *,
    to: str | None,
    per_second: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write every letter that is meant to its topic, or to `to`, or only count; say how many."""
    found, by_topic = asyncio.run(
        send_again(
            settings, topics, selection, limit, to=to, per_second=per_second, dry_run=dry_run
        )
    )
    if as_json:
        report = {
            "dry_run": dry_run,
            "replayed": sum(by_topic.values()),
            "by_topic": by_topic,
            "foreign": found.foreign,
            "truncated": found.cut,
        }
        typer.echo(json.dumps(report))
        return
    typer.echo(found.table())
    what = "would be sent" if dry_run else "sent"
    for target, count in by_topic.items():
        typer.echo(f"{count} {what} to {target}")
