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

from relay.errors import KafkaError, KafkaRefused, KafkaUnreachable, SettingsError, sole
from relay.kafka_client.errors import translated
from relay.kafka_client.options import connection_options
from relay.kafka_client.policy import KafkaClientPolicy

_RETRY_S = 5.0
"""How often to try; also the patience of the first attempt, so that the first line comes then."""
_LEAST_S = 1.0
"""An attempt that is begun may take that long, also when the time is almost over."""
_OAUTH_HINT = "check kafka.security.oauth, and that the token has not ended"


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker as the cluster advertises it, and why it cannot be reached from here, if so."""

    node: int
    address: str
    problem: KafkaError | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a cluster says of itself. `topics` are those that we may see, with partition counts.

    `entrance` is the address that answered: one of those that were given.
    """

    brokers: tuple[Broker, ...]
    entrance: str
    topics: Mapping[str, int] = field(repr=False)
    forbidden: frozenset[str] = field(repr=False)


async def reach(policy: KafkaClientPolicy, patience_s: float | None = None) -> Cluster:
    """Try every address at the same time, go in by the first that lets us, and look around.

    A broker that accepts a connection and never answers is given up after `patience_s`
    (`request_timeout_s` when left out), and holds up no other.

    Raises:
        SettingsError: An address or a certificate cannot be used.
        KafkaRefused: A broker answers and says no.
        KafkaUnreachable: No broker answers, or none of those that the cluster advertises.
    """
    options = connection_options(policy)
    patience_s = policy.request_timeout_s if patience_s is None else patience_s
    metadata, entrance = await _first_metadata(policy, options, patience_s)
    brokers = await _try_each(metadata, options, patience_s)
    if all(broker.problem for broker in brokers):
        raise _worst([broker.problem for broker in brokers if broker.problem])
    return Cluster(
        brokers=brokers,
        entrance=entrance,
        topics={
            topic: len(metadata.partitions_for_topic(topic) or ())
            for topic in metadata.topics(exclude_internal_topics=True)
        },
        forbidden=frozenset(metadata.unauthorized_topics),
    )


async def reach_in_time(
    policy: KafkaClientPolicy,
    within_s: float,
    notice: Callable[[KafkaError, float], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Cluster:
    """`reach`, again and again while waiting may help; `notice` is told of every failure.

    Every attempt has more patience than the one before, from five seconds up to
    `request_timeout_s`: the first failure is told soon, and a slow cluster gets its time.

    Raises:
        KafkaRefused: At once: waiting does not fix a login.
        KafkaUnreachable: Nobody answered within the time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    patience_s = _RETRY_S
    while True:
        began = loop.time()
        left_s = max(_LEAST_S, deadline - began)
        try:
            return await reach(policy, min(patience_s, policy.request_timeout_s, left_s))
        except KafkaUnreachable as problem:
            now = loop.time()
            if now >= deadline:
                raise
            # An attempt that took long was waiting enough.
            wait_s = min(max(0.0, began + _RETRY_S - now), deadline - now)
            notice(problem, wait_s)
            await sleep(wait_s)
            if loop.time() >= deadline:
                raise
        patience_s *= 2


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


async def _first_metadata(
    policy: KafkaClientPolicy, options: Mapping[str, Any], patience_s: float
) -> tuple[ClusterMetadata, str]:
    """What the first address that answers says, and that address."""
    where = addresses(policy.bootstrap_servers)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_tried(*address, options, patience_s)) for address in where]
            for finished in asyncio.as_completed(tasks):
                answer = await finished
                if not isinstance(answer, KafkaError):
                    for task in tasks:
                        task.cancel()
                    return answer
    except BaseExceptionGroup as failures:
        raise sole(failures) from None
    raise _worst([answer for task in tasks if isinstance(answer := task.result(), KafkaError)])


async def _tried(
    host: str, port: int, options: Mapping[str, Any], patience_s: float
) -> tuple[ClusterMetadata, str] | KafkaError:
    try:
        with translated(f"Kafka at {host}:{port}"):
            async with asyncio.timeout(patience_s):
                return await _metadata(host, port, options), f"{host}:{port}"
    except KafkaError as problem:
        return problem


async def _metadata(host: str, port: int, options: Mapping[str, Any]) -> ClusterMetadata:
    connection = await create_conn(host, port, **options)
    metadata = ClusterMetadata()
    try:
        metadata.update_metadata(await connection.send(MetadataRequest(None)))
    except BaseException:
        connection.close()  # not waited for: who does not answer may not close either
        raise
    await connection.close()
    if not metadata.brokers():
        # aiokafka overlooks that the broker refuses a token; all that comes back then is empty.
        if options.get("sasl_mechanism") == "OAUTHBEARER":
            raise KafkaRefused(f"Kafka at {host}:{port}: the token is refused", hint=_OAUTH_HINT)
        raise KafkaUnreachable(f"Kafka at {host}:{port} knows of no broker")
    return metadata


async def _try_each(
    metadata: ClusterMetadata, options: Mapping[str, Any], patience_s: float
) -> tuple[Broker, ...]:
    async def attempt(node: int, host: str, port: int) -> Broker:
        problem = None
        try:
            with translated(f"broker {node} at {host}:{port}, as the cluster advertises it"):
                async with asyncio.timeout(patience_s):
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


# Of several addresses that failed, the cause to tell: a refusal, for a broker that says no is the
# right one; one cause alone as it is; else all of them, since any may be the one that matters.
def _worst(problems: list[KafkaError]) -> KafkaError:
    """Prefer a broker's refusal to a timeout: an address that answers is the right one."""
    for problem in problems:
        if isinstance(problem, KafkaRefused):
            return problem
    if len(problems) == 1:
        return problems[0]
    return KafkaUnreachable("; ".join(problem.problem for problem in problems))
