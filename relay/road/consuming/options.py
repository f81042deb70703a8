"""`ConsumerPolicy` → the options of aiokafka's consumer, each with its reason."""

from typing import Any

from relay.kafka_client.options import client_options
from relay.road.consuming.assignor import CooperativeAssignor
from relay.road.consuming.policy import ConsumerPolicy

_JOIN_MARGIN_S = 5.0  # for the broker to notice that the last member is there


def join_s(policy: ConsumerPolicy) -> float:
    """How long a request of the group may take: longer than the slowest member needs to come."""
    return max(policy.client.request_timeout_s, policy.rebalance_timeout_s + _JOIN_MARGIN_S)


def consumer_options(policy: ConsumerPolicy, assignor: CooperativeAssignor) -> dict[str, Any]:
    """What the consumer is made with.

    Raises:
        SettingsError: A certificate or key cannot be read.
    """
    return {
        **client_options(policy.client),
        "group_id": policy.group_id,
        "group_instance_id": policy.group_instance_id,
        # Offsets move on fates only, never by the clock.
        "enable_auto_commit": False,
        # aiokafka would jump silently; told "none" it raises, and `_begin` decides and says so.
        "auto_offset_reset": "none",
        "isolation_level": policy.isolation_level,
        # Raw bytes: a deserialiser that raises makes aiokafka fetch the same record for ever.
        "key_deserializer": None,
        "value_deserializer": None,
        "session_timeout_ms": round(policy.session_timeout_s * 1000),
        # A third of the session, as Kafka advises, so that two may get lost.
        "heartbeat_interval_ms": round(min(3.0, policy.session_timeout_s / 3) * 1000),
        # Left out it would be the session timeout: too short for a drain.
        "rebalance_timeout_ms": round(policy.rebalance_timeout_s * 1000),
        "max_poll_interval_ms": round(policy.poll_interval_max_s * 1000),
        # With the default of 500 ms a partition that we were slow to take from waits that long
        # behind its idle neighbours.
        "fetch_max_wait_ms": policy.fetch_wait_ms,
        "fetch_min_bytes": 1,
        "fetch_max_bytes": policy.fetch_bytes_max,
        "max_partition_fetch_bytes": policy.partition_fetch_bytes_max,
        "check_crcs": True,
        "exclude_internal_topics": True,
        # Its own take every partition from every member at each change.
        "partition_assignment_strategy": (assignor,),
    }
