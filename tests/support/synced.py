"""What a file held when it was asked onto the disk, as a power cut would leave it at the least."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sync:
    """One `fsync` of a file."""

    name: str
    content: bytes
    beside: frozenset[str]
    """The names in its directory then."""


def watch_syncs(monkeypatch) -> list[Sync]:
    """The list of every `fsync` from now on; each still happens."""
    found: list[Sync] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        beside = frozenset(entry.name for entry in path.parent.iterdir())
        found.append(Sync(path.name, path.read_bytes(), beside))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    return found
