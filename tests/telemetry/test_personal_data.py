"""Personal data in every odd place of a record → none of it in anything that Relay says.

The road of the bad input tests looks at well-placed identifiers. Here they stand where nobody
expects them: in names of fields, in types, times and ids, in keys and headers of the record.
"""

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from tests.support.kafka_admin import wait_for
from tests.support.leaks import leaks, watched
from tests.support.road import TOKEN, Sandbox, read_topic, relay_environ, relay_run

pytestmark = [pytest.mark.broker, pytest.mark.slow]

ADDRESS = "jane.doe@example.com"
ACCOUNT = "account-of-jane-00001"
DEVICE = "6D92078A-8246-4BA4-AE5B-76104861E7DC"
USER = {
    "accounts": [{"id": ACCOUNT}],
    "emails": [{"address": ADDRESS}],
    "devices": [{"os": "ios", "advertising_id": DEVICE}],
}
EVENT = {"type": "track", "id": "odd", "ts": 1_767_225_600_000, "user": USER, "event": "seen"}


def odd(**fields: Any) -> bytes:
    return json.dumps({**EVENT, **fields}).encode()


def put(kind: str, **fields: Any) -> bytes:
    """An event whose request names the user in its path."""
    own = {"profile": "user_profiles", "choice": "user_choices"}
    event = {name: value for name, value in EVENT.items() if name != "event"}
    return json.dumps({**event, "type": kind, "route": own[kind], **fields}).encode()


ODD = {
    "a field named by an address": odd(**{ADDRESS: True}),
    "a field of the user named by an account": odd(user={**USER, ACCOUNT: 1}),
    "a type that is an address": odd(type=ADDRESS),
    "a type that is a device": odd(type=DEVICE),
    "a time that is an account": odd(ts=ACCOUNT),
    "an id that is no text": odd(id={ADDRESS: ACCOUNT}),
    "a session status that is an account": odd(session_status=ACCOUNT),
    "a duplicate key that is an address": b'{"%b": 1, "%b": 2}'
    % (ADDRESS.encode(), ADDRESS.encode()),
    "text that is no JSON": f'{{"type": "track", {ADDRESS} {ACCOUNT}'.encode(),
    "a list": json.dumps([ADDRESS, ACCOUNT]).encode(),
    "a bad e-mail": odd(user={"emails": [{"address": ADDRESS, "hash": ACCOUNT}]}),
    "a bad device": odd(user={"devices": [{"os": ACCOUNT, "advertising_id": DEVICE}]}),
    "a compartment nobody knows": odd(user={"accounts": [{"id": ACCOUNT, "compartment": ADDRESS}]}),
    "a profile of addresses": odd(type="profile", event=None, properties={ADDRESS: [ACCOUNT]}),
    "refused by the API": odd(properties={"refuse": "me", ADDRESS: ACCOUNT}),
    "an implausible time": odd(ts="3489-01-01T00:00:00Z"),
    "a reserved event": odd(event="$page_view"),
    "a user point of nobody": put(
        "choice", processing_id="7", accepted=True, user_point_id=ACCOUNT, selector="user_point"
    ),
    "a bare user point of nobody": put(
        "profile", properties={ADDRESS: 1}, user_point_id=DEVICE, selector="user_point_bare"
    ),
    "a profile that is put and refused": put("profile", properties={"refuse": "me", "x": ACCOUNT}),
    "a strategy that is an account": put("profile", properties={"x": 1}, update_strategy=ACCOUNT),
    "a selector without its identifier": put(
        "choice",
        processing_id="7",
        accepted=True,
        user={"emails": [{"address": ADDRESS}]},
        selector="device",
    ),
}
PUT = [
    put("profile", id="put-1", properties={ADDRESS: ACCOUNT}),
    put("choice", id="put-2", processing_id="7", accepted=True, selector="email"),
    put("choice", id="put-3", processing_id="7", accepted=False, selector="device"),
]


@dataclass
class Said:
    """All that can be read from outside after the run."""

    log: str
    admin: str
    headers: str
    letters: int


@pytest.fixture(scope="module")
def said(kafka):
    topic = kafka.create_topic()
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2})
    for value in ODD.values():
        producer.produce(topic, value, key=ADDRESS.encode(), headers=[("who", ACCOUNT.encode())])
    good = [odd(id=f"good-{number}", event="passed") for number in range(20)]
    for value in good + PUT:
        producer.produce(topic, value, key=ACCOUNT.encode())
    assert producer.flush(60) == 0
    with Sandbox() as sandbox:
        sandbox.faults(
            {
                "rules": [
                    {"kind": "status", "status": 400, "contains": '"refuse":"me"'},
                    {"kind": "status", "status": 401, "times": 1},
                    {"kind": "status", "status": 500, "times": 2},
                    {"kind": "closed", "times": 1},
                    {"kind": "status", "status": 429, "times": 1, "retry_after_s": 0},
                ]
            }
        )
        environ = relay_environ(kafka, topic, sandbox.url, f"odd-{topic}", LOG__LEVEL="debug")
        with relay_run(environ) as relay:
            admin = relay.until("relay_started")["admin"]
            relay.until("destination_held")
            wait_for(
                lambda: (
                    json.loads(httpx.get(f"{admin}/status").text)["ledger"]["open"] == 0
                    and sandbox.summary()["events"] >= len(good)
                    and sandbox.summary()["profile_updates"] >= 1
                    and sandbox.summary()["choice_updates"] >= 2
                ),
                60,
                "the stream stopped",
            )
            pages = [httpx.get(f"{admin}/{p}") for p in ("status", "metrics", "livez", "readyz")]
            assert relay.terminate() == 0, relay.text()
            letters = read_topic(kafka, f"{topic}.dlq")
            headers = [
                f"{name}: {value!r}"
                for letter in letters
                for name, value in letter.headers()
                if name.startswith("relay-")
            ]
            shown = "\n".join(page.text for page in pages)
            return Said(relay.text(), shown, "\n".join(headers), len(letters))


@pytest.mark.parametrize("where", ["log", "admin", "headers"])
def test_nothing_personal_and_no_secret_is_said(said, where):
    forms = watched([EVENT], secrets=[TOKEN])
    text = getattr(said, where)
    found = leaks(text, forms)
    assert not found, [(leak, text.splitlines()[leak.line - 1]) for leak in found]


def test_the_run_said_something_to_look_through(said):
    for fact in ("destination_held", "record_dead_lettered", "stream_progress", "drain_ended"):
        assert f'"{fact}"' in said.log
    assert "relay_records_settled_total" in said.admin
    assert "relay-dlq-reason" in said.headers
    assert said.letters >= len(ODD) - 3


def test_the_scan_would_find_every_identifier_in_these_records():
    text = b"\n".join(ODD.values())
    assert {leak.what for leak in leaks(text, watched([EVENT]))} == {
        "user.accounts.id",
        "user.emails.address",
        "user.devices.advertising_id",
    }
