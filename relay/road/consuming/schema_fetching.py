"""Schemas that partitions wait for → the cache, each fetched by a task of its own.

One that cannot be had yet delays only the partitions that wait for it.
"""

import asyncio
from typing import Protocol

from relay.model import SchemaKey
from relay.road.consuming.schema_waits import SchemaWaits


class SchemaSource(Protocol):
    """Where schemas come from. Implemented by `relay.sources.registry.loader`."""

    async def resolve(self, key: SchemaKey) -> None:
        """Return when records of this schema can be read, or it is known that they cannot.

        May take as long as the registry is away.
        """
        ...


class SchemaFetching:
    """Asks for what is waited for, until cancelled."""

    def __init__(self, waits: SchemaWaits, schemas: SchemaSource) -> None:
        self._waits = waits
        self._schemas = schemas
        self.due = asyncio.Event()

    async def run(self) -> None:
        """Fetch whenever `due` is set."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self.due.wait()
                self.due.clear()
                for key in self._waits.to_ask():
                    tasks.create_task(self._fetch(key), name="schema")

    async def _fetch(self, key: SchemaKey) -> None:
        await self._schemas.resolve(key)
        self._waits.came(key)
