"""The records that `relay map diff` compares: of a file, or the last ones of a topic."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.cli.map.files import documents
from relay.errors import DestinationError, InputError, TopicMissing
from relay.model import NeedsSchema, Record, Undecodable
from relay.settings import Settings
from relay.settings.topics import source_for
from relay.sources.formats import FormatName, build_format
from relay.sources.formats.outcome import NOT_READ
from relay.vendors import open_schema_loader

Each = Callable[[Any, Record], None]


@dataclass(frozen=True, slots=True)
class Where:
    """A file, or a topic of the settings' cluster."""

    file: Path | None
    topic: str | None
    config: Path | None
    last: int


def for_each(where: Where, each: Each) -> int:
    """Call `each` with every document; how many records could not be read.

    Raises:
        InputError: Neither file nor topic is named, or both; or a line of the file is not JSON.
        KafkaError: The cluster does not answer, or refuses.
        DestinationError: The schema registry does not answer.
    """
    if (where.file is None) == (where.topic is None):
        raise InputError("name a FILE of records, or a topic", hint="--from TOPIC")
    if where.file is None:
        return asyncio.run(_for_each_of_topic(where, each))
    for _, document, record in documents(where.file):
        each(document, record)
    return 0


async def _for_each_of_topic(where: Where, each: Each) -> int:
    from relay.kafka_client.looking import last_records
    from relay.kafka_client.reach import reach
    from relay.settings import load
    from relay.telemetry.log import silence

    silence()
    topic = where.topic or ""
    settings = load(where.config, needs=["kafka", "decoding", "sources", "schema_registry"])
    client = settings.kafka.client()
    cluster = await reach(client)
    if topic not in cluster.topics:
        raise TopicMissing(f"{topic} not found", hint="--from names a topic of the cluster")
    unread = 0
    async with topic_reader(settings, topic) as read:
        partitions = {topic: cluster.topics[topic]}
        async with aclosing(last_records(client, partitions, where.last)) as records:
            async for record in records:
                documents = await read(record)
                for document in documents:
                    each(document, record)
                unread += not documents
    return unread


Read = Callable[[Record], Awaitable[list[Any]]]


@asynccontextmanager
async def topic_reader(settings: Settings, topic: str) -> AsyncIterator[Read]:
    """A function that gives the documents of a record, in the format of the topic's source.

    What cannot be read is left out. It asks the schema registry of the settings.

    Raises:
        SettingsError: The format needs a registry, and the settings name none.
        DestinationError: The registry does not answer in time.
    """
    source = source_for(topic, settings.sources)
    name = FormatName.JSON if source is None else source.format
    async with AsyncExitStack() as stack:
        loader = None
        if settings.schema_registry is not None:
            chance = random.Random()  # noqa: S311 - jitter, no secrets
            opened = open_schema_loader(settings.schema_registry, chance, lambda _: None)
            loader = await stack.enter_async_context(opened)
        decode = build_format(name, settings.decoding, None if loader is None else loader.schemas)

        async def read(record: Record) -> list[Any]:
            found = decode(record)
            while isinstance(found, NeedsSchema) and loader is not None:
                try:
                    async with asyncio.timeout(_REGISTRY_PATIENCE_S):
                        await loader.resolve(found.key)
                except TimeoutError:
                    told = loader.problem or f"schema {found.key} does not come"
                    raise DestinationError(f"schema registry: {told}") from None
                found = decode(record)
            if isinstance(found, NOT_READ):
                return []
            return [document for document in found if not isinstance(document, Undecodable)]

        yield read


_REGISTRY_PATIENCE_S = 30.0  # somebody waits at a terminal
