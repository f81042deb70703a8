"""The sandbox on a real socket."""

import asyncio
import socket

import httpx
import pytest

from relay.errors import InputError
from relay.sandbox import server
from relay.sandbox.app import create_app
from relay.sandbox.server import serve

ACTIVITIES = "/v1/datamarts/1/user_activities"


@pytest.fixture
async def client():
    async with (
        serve(create_app()) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": "t"}) as client,
    ):
        yield client


async def test_it_answers_over_http_and_keeps_connections(client, activity):
    for _ in range(3):
        answer = await client.post(ACTIVITIES, json=activity())
        assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")
    assert (await client.get("/_sandbox/summary")).json()["activities"] == 3


@pytest.mark.parametrize(("kind", "activities"), [("lost_answer", 1), ("closed", 0)])
async def test_a_lost_answer_is_a_connection_that_closes(client, activity, kind, activities):
    await client.put("/_sandbox/faults", json={"rules": [{"kind": kind, "times": 1}]})
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post(ACTIVITIES, json=activity())
    summary = (await client.get("/_sandbox/summary")).json()
    assert summary["activities"] == activities
    assert summary["answers_lost"] == 1
    assert (await client.post(ACTIVITIES, json=activity())).status_code == 200


async def test_percent_encoding_in_the_path_reaches_the_log_as_it_was_sent(client):
    await client.get("/v1/a%2Fb,c%20d")
    log = (await client.get("/_sandbox/log")).json()
    assert log["path"] == "/v1/a%2Fb,c%20d"


async def test_stopping_ends_what_waits(activity, until):
    app = create_app()
    async with asyncio.TaskGroup() as tasks, httpx.AsyncClient() as client:
        async with serve(app) as url:
            await client.put(f"{url}/_sandbox/faults", json={"latency_ms": 3_600_000})
            post = tasks.create_task(
                client.post(url + ACTIVITIES, json=activity(), headers={"Authorization": "t"})
            )
            await until(lambda: app.state.sandbox.journal.arrived)
        answer = await post
    assert answer.status_code == 200


async def test_stopping_cuts_off_a_request_that_never_ends(monkeypatch):
    monkeypatch.setattr(server, "GRACE_S", 0.01)
    async with serve(create_app()) as url, httpx.AsyncClient() as client:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab")
        await writer.drain()
        await client.get(f"{url}/_sandbox/summary")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


async def test_it_can_be_served_again_after_it_was_stopped(activity):
    app = create_app()
    for _ in range(2):
        async with serve(app) as url, httpx.AsyncClient() as client:
            headers = {"Authorization": "t"}
            await client.put(f"{url}/_sandbox/faults", json={"latency_ms": 1})
            answer = await client.post(url + ACTIVITIES, json=activity(), headers=headers)
            assert answer.status_code == 200
    assert app.state.sandbox.summary()["activities"] == 2


async def test_an_address_that_is_taken_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port}: the address is taken"):
            async with serve(create_app(), port=port):
                pass


async def test_an_address_of_another_machine_is_an_error():
    with pytest.raises(InputError, match=r"cannot listen on 192\.0\.2\.1:0"):
        async with serve(create_app(), "192.0.2.1"):
            pass


async def test_it_serves_on_ipv6():
    async with serve(create_app(), "::1") as url, httpx.AsyncClient() as client:
        assert url.startswith("http://[::1]:")
        assert (await client.get(f"{url}/_sandbox/summary")).status_code == 200
