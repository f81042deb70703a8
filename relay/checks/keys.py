"""Whether the records of a topic have keys: without them nobody's events are in order.

A few of the last records are looked at, by a consumer that belongs to no group.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

from relay.checks.finding import Finding, failure, warning
from relay.errors import KafkaError
from relay.kafka_client.looking import last_records
from relay.kafka_client.policy import KafkaClientPolicy
from relay.stream.interpret import OrderBy

SAMPLE = 100  # records: as a rule a producer sets a key, or sets none


async def check_keys(
    client: KafkaClientPolicy, topics: Mapping[str, int], order_by: OrderBy
) -> AsyncIterator[Finding]:
    """A warning for each topic that has records without a key. `topics`: name → partitions.

    Nothing is looked at where it would not matter: with one partition, or without an order of
    users or keys.
    """
    if order_by not in {OrderBy.USER, OrderBy.KEY}:
        return
    several = {topic: count for topic, count in topics.items() if count > 1}
    seen: Counter[str] = Counter()
    without: Counter[str] = Counter()
    try:
        async with aclosing(last_records(client, several, SAMPLE)) as records:
            async for record in records:
                seen[record.topic] += 1
                without[record.topic] += record.key is None
    except KafkaError as error:
        yield failure("keys", error)
        return
    for topic, count in without.items():
        if count:
            yield warning(
                f"topic {topic}",
                f"{count} of its last {seen[topic]} records have no key, so the events of a user "
                f"stand in any of its {topics[topic]} partitions and have no order "
                f"(delivery.order_by: {order_by})",
                "let the producer set the user's id as the key",
            )
