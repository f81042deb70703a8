"""Lets a client of aiokafka open each connection with the credentials as they are then.

It keeps what it was made with: after a password or a certificate has changed, every connection
that it opens anew would be refused, for ever.
"""

# ruff: noqa: SLF001 - reaching inside is what this file is for

import contextlib
from typing import Any, TypeVar

from relay.errors import SettingsError
from relay.kafka_client.policy import KafkaClientPolicy
from relay.kafka_client.security import Credentials

_Client = TypeVar("_Client")


def fresh(client: _Client, policy: KafkaClientPolicy) -> _Client:
    """The same consumer, producer or administrator, reading its credentials anew.

    Raises:
        SettingsError: A file cannot be read now. Later that is a refused login until it can.
    """
    outer: Any = client
    inner = outer.client if hasattr(outer, "client") else outer._client
    credentials = Credentials(policy)
    connect = inner._get_conn

    async def connect_fresh(node_id: Any, **options: Any) -> Any:
        # Only for a connection that is to be opened: one that is open keeps what it was opened
        # with.
        known = inner._conns.get((node_id, options.get("group", 0)))
        if known is None or not known.connected():
            with contextlib.suppress(SettingsError):  # the last good ones are tried
                credentials.refresh()
            inner._ssl_context = credentials.context
            inner._sasl_plain_password = credentials.password
        return await connect(node_id, **options)

    inner._get_conn = connect_fresh
    return client
