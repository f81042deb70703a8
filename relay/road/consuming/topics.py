"""Which topics are read: that they exist before reading begins, and that dead letters are not."""

import asyncio
import re

from relay.errors import KafkaError, KafkaRefused, TopicMissing
from relay.kafka_client.reach import Cluster, reach_in_time
from relay.road.consuming.facts import TopicsAwaited
from relay.road.consuming.policy import ConsumerPolicy, MissingTopics
from relay.road.facts import KafkaUnavailable
from relay.telemetry.facts import Emit

_LOOK_AGAIN_S = 5.0  # somebody has to make the topic: seconds do not matter
_LEARNT_WITHIN_S = 1.0
"""Brokers learn of a new topic one after another, and any of them may be asked."""


async def await_topics(policy: ConsumerPolicy, emit: Emit) -> Cluster:
    """Wait for the cluster, and for the topics when the policy says so.

    Raises:
        KafkaUnreachable: No broker answered in time.
        KafkaRefused: The cluster does not let us in, or not at a topic.
        TopicMissing: A topic does not exist and the policy is to fail.
    """

    def notice(problem: KafkaError, retry_in_s: float) -> None:
        emit(KafkaUnavailable.of(problem, retry_in_s))

    looked = False
    while True:
        cluster = await reach_in_time(policy.client, policy.start_timeout_s, notice)
        forbidden = [topic for topic in policy.topics if topic in cluster.forbidden]
        if forbidden:
            raise KafkaRefused(f"no access to {_names(forbidden)}", hint="grant READ (ACLs)")
        missing = [topic for topic in policy.topics if topic not in cluster.topics]
        if not missing:
            return cluster
        # A topic is missing:
        #
        #     the policy is to wait         until it is there
        #     for the first time            once more, a moment later: this broker may not know it
        #                                   yet
        #     for the second time           the end, with what to do
        if policy.missing_topics is MissingTopics.FAIL:
            if looked:
                raise TopicMissing(
                    f"{_names(missing)} not found on Kafka at {policy.client.bootstrap_servers}",
                    hint="create it, fix kafka.topics, grant DESCRIBE, or set kafka.missing_topics "
                    "to wait",
                )
            looked = True
            await asyncio.sleep(_LEARNT_WITHIN_S)
            continue
        emit(TopicsAwaited(topics=tuple(missing), retry_in_s=_LOOK_AGAIN_S))
        await asyncio.sleep(_LOOK_AGAIN_S)


def reading_pattern(policy: ConsumerPolicy) -> str | None:
    """The pattern to subscribe to: whole names only, and never those of dead letters.

    `app-.*` matches `app-events` and would match `app-events.dlq` as well: a record that is
    dead-lettered would come in again, and again.
    """
    if policy.topic_pattern is None:
        return None
    ours = ".*".join(re.escape(part) for part in policy.dead_letter_topic.split("{topic}"))
    return rf"(?!(?:{ours})\Z)(?:{policy.topic_pattern})\Z"


def _names(topics: list[str]) -> str:
    return f"topic{'s' * (len(topics) > 1)} {', '.join(topics)}"
