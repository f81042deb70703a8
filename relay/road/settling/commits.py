"""A commit of Kafka's ↔ what is known of a partition. Pure; both roads settle by it."""

from relay.model import Commit, Partition
from relay.road.settling.assigned import Assigned
from relay.road.settling.facts import MetadataIgnored
from relay.road.settling.offset_map import OffsetMap, decode, encode
from relay.telemetry.facts import Emit

_CLOSED = "closed"
"""Before the map, in a last commit: nothing of the partition was under way any more."""


def is_closed(commit: Commit | None) -> bool:
    """Whether nothing of the partition was under way; nothing ever was, where there is none."""
    return commit is None or commit.metadata.partition(" ")[0] == _CLOSED


def start_of(partition: Partition, commit: Commit | None, emit: Emit) -> OffsetMap:
    """Where a partition goes on. Metadata that is not ours, or damaged, is told and ignored."""
    if commit is None:
        return OffsetMap(0, 0)
    metadata = commit.metadata.removeprefix(_CLOSED).lstrip()
    if metadata:
        start = decode(commit.offset, metadata)
        if start is not None:
            return start
        emit(
            MetadataIgnored(
                partition=str(partition), reason="not a map of this version, or damaged"
            )
        )
    return OffsetMap(commit.offset, commit.offset)


def commit_of(
    assigned: Assigned, bytes_max: int, *, with_map: bool = True, closed: bool = False
) -> Commit:
    """What to commit for a partition now. Sets `map_fill`."""
    snapshot = assigned.frontier.snapshot()
    mark = _CLOSED if closed else ""
    if not with_map:
        return Commit(snapshot.offset, mark)
    encoded = encode(snapshot, bytes_max - len(mark) - 1)
    assigned.map_fill = 1.0 if encoded.truncated else len(encoded.metadata) / bytes_max
    return Commit(snapshot.offset, f"{mark} {encoded.metadata}".strip())


def is_news(assigned: Assigned, commit: Commit) -> bool:
    """Whether the broker does not have this already."""
    nothing_yet = assigned.last_commit is None and assigned.frontier.end == 0
    return commit != assigned.last_commit and not nothing_yet
