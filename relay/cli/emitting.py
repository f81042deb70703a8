"""Lines of events → records on a topic; what `relay emit` does."""

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from relay.errors import InputError, TopicMissing
from relay.kafka_client.producer import Producer
from relay.kafka_client.reach import reach_in_time
from relay.model import Undecodable, Unmappable, Unwanted
from relay.settings import Settings
from relay.settings.topics import source_for
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.decoding.app_event import AppEvent
from relay.stream.mapping.identity import identify
from relay.stream.mapping.policy import IdentityPolicy

Say = Callable[[str], None]


@dataclass(slots=True)
class Emitted:
    """What became of the lines."""

    topic: str
    lines: int = 0
    emitted: int = 0
    value_bytes: int = 0
    invalid: dict[str, int] = field(default_factory=dict)

    @property
    def invalid_lines(self) -> int:
        """How many lines were no events."""
        return sum(self.invalid.values())


async def emit(
    lines: AsyncGenerator[tuple[int, bytes]],
    settings: Settings,
    topic: str,
    *,
    say: Say,
    progress: Callable[[int, int], None],
) -> Emitted:
    """Write each line that is an event to the topic; say why of each that is not.

    `progress` is told the number of the line and its bytes.

    Raises:
        KafkaError: The cluster cannot be reached or refuses; some events may have been written.
        TopicMissing: There is no such topic.
        InputError: It has a source; events in Relay's own format would be dead letters there.
    """
    source = source_for(topic, settings.sources)
    if source is not None:
        raise InputError(
            f"topic {topic} has a source ({source.what}), and relay emit writes Relay's own format",
            hint="produce there as your applications do; name another topic: --topic",
        )
    result = Emitted(topic)
    client = settings.kafka.client()
    decoding = settings.decoding
    identity = settings.identity
    cluster = await reach_in_time(
        client,
        settings.kafka.start_timeout_s,
        lambda problem, retry_s: say(f"{problem}; trying again in {retry_s:.0f} s"),
    )
    if topic not in cluster.topics:
        raise TopicMissing(f"topic {topic} not found", hint="create it, or name another: --topic")
    async with Producer(client) as producer, aclosing(lines):
        async for number, line in lines:
            result.lines += 1
            progress(number, len(line))
            event = _valid(line, decoding)
            if isinstance(event, Undecodable):
                result.invalid[event.code] = result.invalid.get(event.code, 0) + 1
                say(f"line {number}: {event.code}: {event.reason}")
                continue
            await producer.send(topic, key_of(event, identity), line)
            result.value_bytes += len(line)
        await producer.flush(topic)
        result.emitted = producer.confirmed
    return result


def key_of(event: AppEvent, policy: IdentityPolicy) -> bytes:
    """A record key that is the same for the same user: the digest that names the user's lane.

    Events of one user share a partition and keep their order. A user without an identifier that
    the relay would use gets a key all the same.
    """
    found = identify(event.user, policy)
    if isinstance(found, Unmappable):
        whom = event.user.model_dump_json() + (getattr(event, "user_point_id", None) or "")
        digest = hashlib.blake2b(whom.encode(), digest_size=16)
        return digest.hexdigest().encode()
    return found.lane.encode()


def _valid(line: bytes, policy: DecodingPolicy) -> AppEvent | Undecodable:
    event = decode(line, policy)
    if isinstance(event, Unwanted):  # a line always has a value
        return Undecodable(event.code, event.reason)
    return event
