"""A commit of Kafka's ↔ what is known of a partition. Pure; both roads settle by it."""

from relay.stream.model import Commit, Partition
from relay.stream.settling.assigned import Assigned
from relay.stream.settling.offset_map import OffsetMap, decode, encode
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


def commit_of(home: Assigned, bytes_max: int) -> Commit | None:
    """What to commit for a partition now, None when the broker has just that. Sets `map_fill`."""
    snapshot = home.frontier.snapshot()
    encoded = encode(snapshot, bytes_max)
    home.map_fill = 1.0 if encoded.truncated else len(encoded.metadata) / bytes_max
    commit = Commit(snapshot.offset, encoded.metadata)
    nothing_yet = home.last_commit is None and snapshot.end == 0
    return None if commit == home.last_commit or nothing_yet else commit
