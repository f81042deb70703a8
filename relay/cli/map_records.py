"""The records that `relay map diff` compares: of a file, or the last ones of a topic."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.cli.map_files import documents
from relay.errors import InputError, TopicMissing
from relay.model import NeedsSchema, Record, Undecodable, Unwanted
from relay.sources.formats import Format, FormatName, build_format
from relay.sources.interpret import matching

Each = Callable[[Any, Record], None]
_NOT_READ = (Undecodable, Unwanted, NeedsSchema)


@dataclass(frozen=True, slots=True)
class Where:
    """A file, or a topic of the settings' cluster."""

    file: Path | None
    topic: str | None
    config: Path | None
    last: int


def for_each(where: Where, each: Each) -> int:
    """Call `each` with every document; how many records or documents could not be read.

    Raises:
        InputError: Neither file nor topic is named, or both; or a line of the file is not JSON.
        KafkaError: The cluster does not answer, or refuses.
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
    settings = load(where.config, needs=["kafka", "decoding", "sources"])
    name = next((s.format for s in settings.sources if matching(s.topics)(topic)), FormatName.JSON)
    decode = build_format(name, settings.decoding)
    client = settings.kafka.client()
    cluster = await reach(client)
    if topic not in cluster.topics:
        raise TopicMissing(f"{topic} not found", hint="--from names a topic of the cluster")
    unread = 0
    partitions = {topic: cluster.topics[topic]}
    async with aclosing(last_records(client, partitions, where.last)) as records:
        async for record in records:
            unread += _each_document(decode, record, each)
    return unread


def _each_document(decode: Format, record: Record, each: Each) -> int:
    found = decode(record)
    if isinstance(found, _NOT_READ):
        return 1
    unread = 0
    for document in found:
        if isinstance(document, Undecodable):
            unread += 1
        else:
            each(document, record)
    return unread
