"""A second member with our `group_instance_id`: the older one must find out, and end.

Kafka gives the partitions to the newer one and forgets the older one's member id. aiokafka 0.14
takes that for a session that was lost, joins again, and takes the partitions back: both run, and
everything is delivered twice. Before such a member joins again it asks, with the member id that it
had. The request names the instance, so the broker tells the two apart:

| answer | meaning |
|---|---|
| 82, fenced | another member has our name: never join again |
| anything else | the session was lost, or the group is about to rebalance: join |
"""

# ruff: noqa: SLF001 - aiokafka offers no other way

from typing import Any

from aiokafka import errors as theirs
from aiokafka.protocol.group import SyncGroupRequest

from relay.kafka_client.errors import FencedInstanceId


def refuse_to_replace_a_namesake(coordinator: Any) -> None:
    """For a member with a `group_instance_id`, after its consumer has started."""
    reset, join = coordinator.reset_generation, coordinator._do_rejoin_group
    forgotten: list[tuple[int, str]] = []
    """The generation and member id that the broker did not know any more."""

    def reset_generation() -> None:
        if coordinator.member_id:
            forgotten[:] = [(coordinator.generation, coordinator.member_id)]
        reset()

    async def rejoin(subscription: Any) -> bool:
        if forgotten:
            await _ask(coordinator, *forgotten[0])
            forgotten.clear()
        joined: bool = await join(subscription)
        return joined

    coordinator.reset_generation = reset_generation
    coordinator._do_rejoin_group = rejoin


async def _ask(coordinator: Any, generation: int, member_id: str) -> None:
    request = SyncGroupRequest(
        coordinator.group_id, generation, member_id, coordinator._group_instance_id, []
    )
    answer = await coordinator._send_req(request)
    if theirs.for_code(answer.error_code) is FencedInstanceId:
        raise FencedInstanceId(coordinator._group_instance_id)
