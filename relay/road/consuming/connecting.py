"""How aiokafka's consumer connects, and how long each kind of request may take."""

# ruff: noqa: SLF001 - aiokafka offers no other way

import asyncio
from collections import defaultdict
from contextlib import nullcontext
from typing import Any

from aiokafka import errors as theirs
from aiokafka.client import ConnectionGroup
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.metadata import MetadataRequest

_ABOUT_CLUSTER_S = 5.0  # Such answers come from a broker's memory: one that takes longer hangs.


def connect_apart(consumer: Any, request_s: float, join_s: float) -> None:
    """Before its `start`: let no broker that hangs hold up what others could answer.

    aiokafka opens one connection at a time, and asks brokers by chance about the cluster. A broker
    that accepts a connection and never answers holds up both for as long as a request may take.
    When it coordinates the group, the first request whose time is over makes aiokafka look for
    another coordinator, and ends those that wait behind it.

    | request | limit |
    |---|---|
    | each step of connecting; who leads a partition, who coordinates the group | a few seconds |
    | a heartbeat, which is never sent while a join waits | a few seconds |
    | to join the group: a broker answers when every member has come | `join_s` |
    | all others | `request_s` |
    """
    client = consumer._client
    client._request_timeout_ms = round(min(request_s, _ABOUT_CLUSTER_S) * 1000)
    client._get_conn_lock_value = nullcontext()
    connect = client._get_conn
    one_each: defaultdict[Any, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def connected(
        node: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any:
        async with one_each[node, group]:
            connection = await connect(node, group=group, no_hint=no_hint)
        if connection is not None and "send" not in vars(connection):
            _limit(connection, request_s, join_s)
        return connection

    ask = client.send

    async def asked(node: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        try:
            return await ask(node, request, group=group)
        except KeyError:
            # Two requests of a connection whose time is over: the first closed it, and aiokafka
            # looks for it again. Let out, this would end the task that fetches.
            raise theirs.RequestTimedOutError from None

    client._get_conn = connected
    client.send = asked


def _limit(connection: Any, request_s: float, join_s: float) -> None:
    send = connection.send
    brief_s = min(request_s, _ABOUT_CLUSTER_S)

    def limited(request: Any, *args: Any, **options: Any) -> Any:
        match request:
            case MetadataRequest() | FindCoordinatorRequest() | HeartbeatRequest():
                connection._request_timeout = brief_s
            case JoinGroupRequest() | SyncGroupRequest():
                connection._request_timeout = join_s
            case _:
                connection._request_timeout = request_s
        return send(request, *args, **options)

    connection.send = limited
