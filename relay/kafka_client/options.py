"""`KafkaClientPolicy` → the options that every aiokafka client of this process is made with."""

from typing import Any

from relay.kafka_client.policy import KafkaClientPolicy
from relay.kafka_client.security import Credentials
from relay.kafka_client.tokens import token_provider


def connection_options(policy: KafkaClientPolicy) -> dict[str, Any]:
    """What opening one connection takes.

    Raises:
        SettingsError: A certificate or key cannot be read.
    """
    credentials = Credentials(policy)
    options: dict[str, Any] = {
        "client_id": policy.client_id,
        "request_timeout_ms": round(policy.request_timeout_s * 1000),
        "security_protocol": policy.protocol,
        "ssl_context": credentials.context,
    }
    if policy.sasl is not None:
        options |= {
            "sasl_mechanism": policy.sasl.mechanism,
            "sasl_plain_username": policy.sasl.username,
            "sasl_plain_password": credentials.password,
            "sasl_oauth_token_provider": token_provider(policy.sasl),
        }
    return options


def client_options(policy: KafkaClientPolicy) -> dict[str, Any]:
    """What a consumer, producer or administrator takes.

    Raises:
        SettingsError: A certificate or key cannot be read.
    """
    return {
        **connection_options(policy),
        "bootstrap_servers": policy.bootstrap_servers,
        # How soon a new topic, a new partition or a moved leader is noticed without an error.
        "metadata_max_age_ms": round(policy.metadata_age_max_s * 1000),
        # Long enough that a broker which restarts is not asked hundreds of times a second.
        "retry_backoff_ms": 250,
    }
