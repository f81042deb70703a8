"""What the cluster says about how topics are configured."""

from collections.abc import Mapping, Sequence

from aiokafka import errors as theirs
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from relay.kafka_client.errors import translated
from relay.kafka_client.fresh import fresh
from relay.kafka_client.options import client_options
from relay.kafka_client.policy import KafkaClientPolicy


async def topic_configs(
    policy: KafkaClientPolicy, topics: Sequence[str]
) -> Mapping[str, Mapping[str, str]]:
    """Each topic's configuration, defaults included.

    Raises:
        KafkaRefused: We may not see it.
        KafkaUnreachable: The cluster does not answer.
    """
    if not topics:
        return {}
    admin = fresh(AIOKafkaAdminClient(**client_options(policy)), policy)
    wanted = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    found: dict[str, dict[str, str]] = {}
    with translated("configuration of topics"):
        try:
            await admin.start()
            for answer in await admin.describe_configs(wanted):
                for number, _message, _kind, name, entries in answer.resources:
                    error = theirs.for_code(number)
                    if error is not theirs.NoError:
                        raise error(name)
                    found[name] = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
        finally:
            await admin.close()
    return found
