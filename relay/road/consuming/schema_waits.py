"""Partitions whose next record cannot be read before its schema is fetched. Pure.

    a record needs a schema    its partition waits: nothing more of it is taken
    before the next poll       the source puts that record back, and what it handed out behind it
    the schema has come        before the next poll, the partition goes on with that record

Both only between two polls: the rest of a batch must not pass the record that waits for its
schema. A partition that waits holds nothing in memory, so it takes no room from the others.
"""

from collections.abc import Callable, Collection
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
        self.waits: dict[Partition, SchemaWait] = {}
        """To be read only. A plain attribute: it is looked at for each record."""
        self._asked: set[SchemaKey] = set()

    def waiting(self) -> list[SchemaWait]:
        """The waits, in the order of the partitions."""
        return [wait for _, wait in sorted(self.waits.items())]

    def begin(self, wait: SchemaWait) -> None:
        """This partition waits from now on."""
        self.waits[wait.partition] = wait

    def forget(self, partitions: Collection[Partition]) -> None:
        """These partitions are not ours any more."""
        for partition in partitions:
            self.waits.pop(partition, None)

    def to_ask(self) -> list[SchemaKey]:
        """The schemas that somebody waits for and nobody was asked for: they are asked for now."""
        wanted = {wait.key: None for wait in self.waits.values() if not wait.has_come}
        new = [key for key in wanted if key not in self._asked]
        self._asked.update(new)
        return new

    def came(self, key: SchemaKey) -> None:
        """What is known of this schema is in the cache, or that there is none."""
        self._asked.discard(key)
        for wait in self.waits.values():
            wait.has_come |= wait.key == key

    def between_polls(self, put_back: Callable[[SchemaWait], bool]) -> None:
        """Put back what was not yet; let go on whose record is back and whose schema has come.

        What cannot be put back belongs to an assignment that is over: it waits to be forgotten.
        """
        for wait in self.waits.values():
            wait.was_put_back = wait.was_put_back or put_back(wait)
        self.waits = {
            tp: wait for tp, wait in self.waits.items() if not (wait.has_come and wait.was_put_back)
        }
