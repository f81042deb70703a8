"""A commit of Kafka's ↔ what is known of a partition. Pure; both roads settle by it."""

from relay.model import Commit, Partition
from relay.road.settling.assigned import Assigned
from relay.road.settling.offset_map import OffsetMap, decode, encode
from relay.telemetry.facts import Emit, MetadataIgnored


def start_of(partition: Partition, commit: Commit | None, emit: Emit) -> OffsetMap:
    """Where a partition goes on. Metadata that is not ours, or damaged, is told and ignored."""
    if commit is None:
        return OffsetMap(0, 0)
    if commit.metadata:
        start = decode(commit.offset, commit.metadata)
        if start is not None:
            return start
        emit(
            MetadataIgnored(
                partition=str(partition), reason="not a map of this version, or damaged"
            )
        )
    return OffsetMap(commit.offset, commit.offset)


def commit_of(home: Assigned, bytes_max: int, *, with_map: bool = True) -> tuple[Commit, bool]:
    """What to commit for a partition now, and whether its map had to be cut. Sets `map_fill`."""
    snapshot = home.frontier.snapshot()
    if not with_map:
        return Commit(snapshot.offset), False
    encoded = encode(snapshot, bytes_max)
    home.map_fill = 1.0 if encoded.truncated else len(encoded.metadata) / bytes_max
    return Commit(snapshot.offset, encoded.metadata), encoded.truncated


def is_news(home: Assigned, commit: Commit) -> bool:
    """Whether the broker does not have this already."""
    nothing_yet = home.last_commit is None and home.frontier.end == 0
    return commit != home.last_commit and not nothing_yet
