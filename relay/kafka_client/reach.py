"""Is there a cluster at these addresses, and does it let us in? If not: why not?

aiokafka's clients say "unable to bootstrap" for a wrong password, a wrong port and a wrong
certificate alike. Here each address is tried by itself and the cause is kept. The brokers that the
cluster advertises are tried as well: an address that answers but sends clients to one that they
cannot reach is the commonest mistake with Kafka in containers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.protocol.metadata import MetadataRequest

from relay.errors import KafkaError, KafkaRefused, KafkaUnreachable, SettingsError
from relay.kafka_client.errors import translated
from relay.kafka_client.options import connection_options
from relay.kafka_client.policy import KafkaClientPolicy

_RETRY_S = 5.0
_OAUTH_HINT = "check kafka.security.oauth, and that the token has not ended"


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker as the cluster advertises it, and why it cannot be reached from here, if so."""

    node: int
    address: str
    problem: KafkaError | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a cluster says of itself. `topics` are those that we may see, with partition counts."""

    brokers: tuple[Broker, ...]
    topics: Mapping[str, int] = field(repr=False)
    forbidden: frozenset[str] = field(repr=False)


async def reach(policy: KafkaClientPolicy) -> Cluster:
    """Go in by the first address that lets us, and look around.

    Raises:
        SettingsError: An address or a certificate cannot be used.
        KafkaRefused: A broker answers and says no.
        KafkaUnreachable: No broker answers, or none of those that the cluster advertises.
    """
    options = connection_options(policy)
    problems: list[KafkaError] = []
    for host, port in addresses(policy.bootstrap_servers):
        try:
            metadata = await _metadata(host, port, options)
        except KafkaError as problem:
            problems.append(problem)
            continue
        brokers = await _try_each(metadata, options)
        if all(broker.problem for broker in brokers):
            raise _worst([broker.problem for broker in brokers if broker.problem])
        return Cluster(
            brokers=brokers,
            topics={
                topic: len(metadata.partitions_for_topic(topic) or ())
                for topic in metadata.topics(exclude_internal_topics=True)
            },
            forbidden=frozenset(metadata.unauthorized_topics),
        )
    raise _worst(problems)


async def reach_in_time(
    policy: KafkaClientPolicy,
    within_s: float,
    notice: Callable[[KafkaError, float], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Cluster:
    """`reach`, again and again while waiting may help; `notice` is told of every failure.

    Raises:
        KafkaRefused: At once: waiting does not mend a login.
        KafkaUnreachable: Nobody answered within the time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        try:
            return await reach(policy)
        except KafkaUnreachable as problem:
            if loop.time() + _RETRY_S > deadline:
                raise
            notice(problem, _RETRY_S)
            await sleep(_RETRY_S)


def addresses(bootstrap_servers: str) -> list[tuple[str, int]]:
    """The addresses in a list of them.

    Raises:
        SettingsError: One is not `host:port`.
    """
    try:
        return [(host, port) for host, port, _ in collect_hosts(bootstrap_servers, randomize=False)]
    except ValueError as error:
        problem = "kafka.bootstrap_servers: not a list of host:port, separated by commas"
        raise SettingsError(problem) from error


async def _metadata(host: str, port: int, options: Mapping[str, Any]) -> ClusterMetadata:
    with translated(f"Kafka at {host}:{port}"):
        connection = await create_conn(host, port, **options)
        metadata = ClusterMetadata()
        try:
            metadata.update_metadata(await connection.send(MetadataRequest(None)))
        finally:
            await connection.close()
    if not metadata.brokers():
        # aiokafka overlooks that the broker refuses a token; all that comes back then is empty.
        if options.get("sasl_mechanism") == "OAUTHBEARER":
            raise KafkaRefused(f"Kafka at {host}:{port}: the token is refused", hint=_OAUTH_HINT)
        raise KafkaUnreachable(f"Kafka at {host}:{port} knows of no broker")
    return metadata


async def _try_each(metadata: ClusterMetadata, options: Mapping[str, Any]) -> tuple[Broker, ...]:
    async def attempt(node: int, host: str, port: int) -> Broker:
        problem = None
        try:
            with translated(f"broker {node} at {host}:{port}, as the cluster advertises it"):
                connection = await create_conn(host, port, **options)
                await connection.close()
        except KafkaError as error:
            problem = error
        return Broker(node, f"{host}:{port}", problem)

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(attempt(broker.nodeId, broker.host, broker.port))
            for broker in sorted(metadata.brokers(), key=lambda broker: broker.nodeId)
        ]
    return tuple(task.result() for task in tasks)


def _worst(problems: list[KafkaError]) -> KafkaError:
    """A refusal says more than silence: one that answers is the right address."""
    for problem in problems:
        if isinstance(problem, KafkaRefused):
            return problem
    if len(problems) == 1:
        return problems[0]
    return KafkaUnreachable("; ".join(problem.problem for problem in problems))
