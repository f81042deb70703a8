"""Sending dead letters again by the admin port: who may, what is refused, and what then flows."""

import asyncio
import contextlib
import json
import uuid

import httpx
import pytest
from prometheus_client import CollectorRegistry

from relay.errors import InputError, KafkaError
from relay.telemetry.access import Access
from relay.telemetry.admin import View, admin_app, serve_admin
from relay.telemetry.recent import Recent
from relay.telemetry.replay_route import PATH, ReplayResult
from tests.support.embedded import Whole, whole_relay
from tests.support.kafka_admin import wait_for
from tests.support.road import Feeder, Sandbox, relay_environ, relay_run

pytestmark = pytest.mark.slow

TOKEN = "a token of the admin page"
BEARER = {"authorization": f"Bearer {TOKEN}"}
REFUSED = {"rules": [{"kind": "status", "status": 422, "rate": 1.0}]}


@contextlib.asynccontextmanager
async def client(send, *, token=TOKEN, host="127.0.0.1"):
    view = View(Access(host, token), Recent(lambda: 0), {}, {}, send_again=send)
    app = admin_app(None, CollectorRegistry(), view)
    async with (
        serve_admin(app, "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as http,
    ):
        yield http


async def nothing(wanted):
    raise AssertionError(f"nobody may send {wanted}")


async def test_looking_at_the_page_is_not_enough_to_send():
    async with client(nothing) as http:
        assert (await http.get(PATH)).json() == {"allowed": "token"}
        assert (await http.post(PATH, json={"codes": ["http_422"]})).status_code == 401
        wrong = {"authorization": "Bearer nonsense"}
        asked = await http.post(PATH, json={"codes": ["http_422"]}, headers=wrong)
        assert asked.status_code == 401
        assert (await http.get(PATH, headers=BEARER)).json() == {"allowed": "yes"}


async def test_without_the_setting_nobody_may():
    async with client(nothing, token=None) as http:
        assert (await http.get(PATH)).json() == {"allowed": "off"}
        refused = await http.post(PATH, json={"codes": ["http_422"]}, headers=BEARER)
        assert refused.status_code == 403
        assert "admin.token" in refused.json()["problem"]


async def test_beyond_loopback_not_even_the_question_is_answered_without_the_token():
    async with client(nothing, host="0.0.0.0") as http:
        assert (await http.get(PATH)).status_code == 401
        assert (await http.get(PATH, headers=BEARER)).json() == {"allowed": "yes"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{}", "nothing restricts"),
        (b'{"dry_run": true, "since": "2h"}', "nothing restricts"),
        (b"not json", "Invalid JSON"),
        (b'{"codes": "http_422"}', "codes"),
        (b'{"codes": ["http_422"], "user": "u"}', "user"),
        (b'{"codes": ["' + b"x" * 70_000 + b'"]}', "longer than"),
        (json.dumps({"positions": ["t-0-1"] * 501}).encode(), "positions"),
    ],
)
async def test_what_is_no_selection_is_refused_with_the_reason(body, problem):
    async with client(nothing) as http:
        refused = await http.post(PATH, content=body, headers=BEARER)
        assert refused.status_code == 400
        assert problem in refused.json()["problem"]


@pytest.mark.parametrize(
    ("error", "status"), [(InputError("http_4: no such"), 400), (KafkaError("it is away"), 502)]
)
async def test_what_went_wrong_is_said_and_the_next_request_is_taken(error, status):
    async def fail(wanted):
        raise error

    async with client(fail) as http:
        for _ in range(2):
            answer = await http.post(PATH, json={"codes": ["x"]}, headers=BEARER)
            assert (answer.status_code, answer.json()["problem"]) == (status, str(error))


async def test_one_selection_is_sent_at_a_time():
    begun, over = asyncio.Event(), asyncio.Event()

    async def wait(wanted):
        begun.set()
        await over.wait()
        return ReplayResult(1, 0, False, {"t": 1})

    async with client(wait) as http, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(http.post(PATH, json={"codes": ["x"]}, headers=BEARER))
        await begun.wait()
        second = await http.post(PATH, json={"codes": ["x"]}, headers=BEARER)
        over.set()
        assert second.status_code == 409
        assert (await first).json()["by_topic"] == {"t": 1}


def replayed(whole, topic, **since):
    """What must hold wherever Kafka is: counted, sent, delivered, and said in the log."""

    def ask(**body):
        answer = httpx.post(f"{whole.admin}{PATH}", json=body, headers=BEARER, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ledger():
        return whole.status()["ledger"]

    whole.sandbox.faults(REFUSED)
    whole.feeder.send(20)
    wait_for(lambda: sum(ledger()["dead_lettered"].values()) == 20, 60, "letters are missing")
    whole.sandbox.faults({"rules": []})
    position = whole.status()["recent"]["dead_letters"][0]["position"]

    assert ask(codes=["http_500"], dry_run=True)["letters"] == 0
    assert ask(codes=["http_422"], dry_run=True, **since)["by_topic"] == {topic: 20}
    assert ledger()["delivered"] == 0
    assert ask(positions=[position])["by_topic"] == {topic: 1}
    wait_for(lambda: ledger()["delivered"] == 1, 30, "it was not delivered")
    assert ask(codes=["http_422"])["letters"] == 20
    wait_for(lambda: ledger()["delivered"] == 21, 30, "they were not delivered")
    said = [one["count"] for one in whole.relay.said("dead_letters_replayed")]
    assert said == [1, 20]
    unknown = httpx.post(f"{whole.admin}{PATH}", json={"codes": ["http_4"]}, headers=BEARER)
    assert unknown.status_code == 400


def test_a_selection_is_counted_sent_and_delivered():
    with whole_relay(ADMIN__TOKEN=TOKEN) as whole:
        replayed(whole, "app-events")


@pytest.mark.broker
def test_so_it_is_on_a_real_kafka_and_by_time(kafka, topic):
    group = f"again-{uuid.uuid4().hex[:8]}"
    with Sandbox() as sandbox:
        environ = relay_environ(kafka, topic, sandbox.url, group, ADMIN__TOKEN=TOKEN)
        with relay_run(environ) as relay:
            admin = str(relay.until("relay_started")["admin"])
            whole = Whole(kafka, sandbox, relay, Feeder(kafka, topic, 1, 20), admin)
            replayed(whole, topic, since="1h")
