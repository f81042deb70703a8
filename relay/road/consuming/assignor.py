"""The assignor that aiokafka asks for: `assigning.assign` in the words of Kafka's protocol."""

import json
from collections.abc import Callable, Iterable, Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

from relay.model import Partition
from relay.road.consuming.assigning import Member, assign

_VERSION = 0
NAME = "relay-cooperative"
"""Members of one group must all assign this way; Kafka refuses one that does not."""


class CooperativeAssignor:
    """One for each consumer, given to aiokafka in place of a class: it asks for a claim.

    `claim` is called for every attempt to join: what we hold, and the generation we hold it since.
    """

    name = NAME

    def __init__(self, claim: Callable[[], tuple[frozenset[Partition], int]]) -> None:
        self._claim = claim

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What goes with our request to join."""
        holds, generation = self._claim()
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), _written(holds, generation))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """What each member has from now on. Called at the member that leads the group."""
        known = {name: _read(said) for name, said in members.items()}
        topics = frozenset().union(*(member.topics for member in known.values()))
        partitions = [
            Partition(topic, number)
            for topic in topics
            for number in cluster.partitions_for_topic(topic) or ()
        ]
        return {
            name: ConsumerProtocolMemberAssignment(_VERSION, _by_topic(given), b"")
            for name, given in assign(known, partitions).items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing to keep: the source is told of its partitions itself."""


def _written(holds: Iterable[Partition], generation: int) -> bytes:
    return json.dumps({"generation": generation, "holds": dict(_by_topic(holds))}).encode()


def _read(said: ConsumerProtocolMemberMetadata) -> Member:
    topics = frozenset(said.subscription)
    if not said.user_data:
        return Member(topics)
    claim = json.loads(said.user_data)
    holds = frozenset(
        Partition(topic, number) for topic, numbers in claim["holds"].items() for number in numbers
    )
    return Member(topics, holds, int(claim["generation"]))


def _by_topic(partitions: Iterable[Partition]) -> list[tuple[str, list[int]]]:
    found: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        found.setdefault(topic, []).append(number)
    return list(found.items())
