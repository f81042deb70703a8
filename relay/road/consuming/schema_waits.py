"""Partitions whose next record cannot be read before its schema is fetched. Pure.

    a record needs a schema    its partition waits: nothing more of it is taken
    before the next poll       the source puts that record back, and what it handed out behind it
    the schema has come        before the next poll, the partition goes on with that record

Both only between two polls: the rest of a batch must not pass the record that waits for its
schema. A partition that waits holds nothing in memory, so it takes no room from the others.
"""

from collections.abc import Collection
from dataclasses import dataclass

from relay.model import Partition, SchemaKey


@dataclass(slots=True, eq=False)
class SchemaWait:
    """Which record of a partition waits, for which schema, since when (steady seconds)."""

    partition: Partition
    epoch: int
    offset: int
    key: SchemaKey
    since: float
    has_come: bool = False
    was_put_back: bool = False


class SchemaWaits:
    """At most one wait for each partition."""

    def __init__(self) -> None:
        self._waits: dict[Partition, SchemaWait] = {}
        self._asked: set[SchemaKey] = set()

    def __bool__(self) -> bool:
        return bool(self._waits)

    def __contains__(self, partition: Partition) -> bool:
        return partition in self._waits

    @property
    def partitions(self) -> set[Partition]:
        """Those that wait."""
        return set(self._waits)

    def waiting(self) -> list[SchemaWait]:
        """The waits, in the order of the partitions."""
        return [wait for _, wait in sorted(self._waits.items())]

    def begin(self, wait: SchemaWait) -> None:
        """This partition waits from now on."""
        self._waits[wait.partition] = wait

    def forget(self, partitions: Collection[Partition]) -> None:
        """These partitions are not ours any more."""
        for partition in partitions:
            self._waits.pop(partition, None)

    def to_ask(self) -> list[SchemaKey]:
        """The schemas that somebody waits for and nobody was asked for: they are asked for now."""
        wanted = {wait.key: None for wait in self._waits.values() if not wait.has_come}
        new = [key for key in wanted if key not in self._asked]
        self._asked.update(new)
        return new

    def came(self, key: SchemaKey) -> None:
        """What is known of this schema is in the cache, or that there is none."""
        self._asked.discard(key)
        for wait in self._waits.values():
            wait.has_come |= wait.key == key

    def between_polls(self) -> list[SchemaWait]:
        """The records to be put back now. Whose schema has come goes on."""
        put_back = [wait for wait in self._waits.values() if not wait.was_put_back]
        for wait in put_back:
            wait.was_put_back = True
        self._waits = {tp: wait for tp, wait in self._waits.items() if not wait.has_come}
        return put_back
