"""What mapping puts on user points is what the sandbox takes, over both wires and real HTTP."""

import json

import httpx
import pytest

from relay.model import Request
from relay.sandbox.app import create_app
from relay.sandbox.server import serve
from relay.settings import load
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.mapping import MappingPolicy, map_event
from relay.stream.mapping.policy import ChoiceRoute, IdentityPolicy, ProfileRoute
from relay.stream.mapping.requests import activities_path, activity_request
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.token import static_token
from relay.stream.sending.wire import WireKind, WirePolicy
from tests.support.app_events import ROOT

NOW = 1769851800123
SAMPLES = sorted((ROOT / "tests" / "golden" / "vendor_put").glob("*.json"))
POLICY = MappingPolicy(
    identity=IdentityPolicy(default_compartment_id="1000"),
    datamart_id="1234",
    profile_route=ProfileRoute.USER_PROFILES,
    choice_route=ChoiceRoute.USER_CHOICES,
)
ODD = ["a/b,c=d", "é 日本 %41", "a?b#c&d+e", "../x", "%2F", '"quoted"', "user_point_id=7"]


@pytest.fixture
async def url():
    async with serve(create_app()) as address:
        yield address


@pytest.fixture(params=list(WireKind))
async def wire(request, url):
    wire = open_wire(WirePolicy(base_url=url, wire=request.param), static_token("token"))
    yield wire
    await wire.close()


async def users(url):
    async with httpx.AsyncClient(base_url=url) as client:
        text = (await client.get("/_sandbox/users")).text
    return [json.loads(line) for line in text.splitlines()]


def mapped(document, policy=POLICY):
    outcome = map_event(decode(json.dumps(document).encode(), DecodingPolicy()), policy, NOW)
    assert isinstance(outcome, Request), outcome
    return outcome


@pytest.mark.parametrize("account", ODD)
async def test_an_id_of_any_kind_arrives_as_it_is(wire, url, account):
    user = {"accounts": [{"id": account}]}
    choice = {"type": "choice", "processing_id": "7/8", "accepted": True}
    profile = {"type": "profile", "properties": {"city": "Lyon"}}
    for own in (profile, choice):
        answer = await wire.send(mapped({"id": "1", "ts": NOW, "user": user, **own}))
        assert answer.status == 200, answer.body
    (stored,) = await users(url)
    assert stored["identifiers"] == [f"USER_ACCOUNT:1000:{account}"]
    assert stored["profiles"][0]["$user_account_id"] == account
    assert stored["choices"][0]["$processing_id"] == "7/8"
    assert stored["choices"][0]["$choice_ts"] == NOW


async def test_every_form_of_selector_leads_to_the_same_user(wire, url):
    user = {
        "accounts": [{"id": "crm-881"}],
        "emails": [{"hash": "a" * 64}],
        "devices": [{"id": "vec:1"}],
    }
    track = {"type": "track", "id": "0", "ts": NOW, "user": user, "event": "seen"}
    activity = map_event(decode(json.dumps(track).encode(), DecodingPolicy()), POLICY, NOW)
    assert (await wire.send(activity_request(activities_path("1234"), activity))).status == 200
    point = (await users(url))[0]["user_point_id"]
    kinds = ["account", "email", "device", "user_point", "user_point_bare"]
    for number, kind in enumerate(kinds):
        choice = {
            "type": "choice",
            "id": str(number),
            "ts": NOW,
            "user": user,
            "selector": kind,
            "user_point_id": point,
            "processing_id": kind,
            "accepted": True,
        }
        assert (await wire.send(mapped(choice))).status == 200
    (stored,) = await users(url)
    assert {choice["$processing_id"] for choice in stored["choices"]} == set(kinds)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
async def test_a_sample_of_the_vendors_page_is_sent_byte_for_byte_and_taken(
    wire, url, path, tmp_path
):
    case = json.loads(path.read_text(encoding="utf-8"))
    config = tmp_path / "relay.yaml"
    config.write_text(json.dumps(case["settings"]))
    settings = load(config, {}, needs=["identity", "mapping"])
    request = mapped(case["event"], settings.mapping.complete(settings.identity, "1234"))
    assert (request.method, request.path) == (case["method"], case["path"])
    assert json.loads(request.body) == case["body"]
    assert (await wire.send(request)).status == 200
    async with httpx.AsyncClient(base_url=url) as client:
        (line,) = (await client.get("/_sandbox/log")).text.splitlines()
    assert json.loads(line)["path"] == case["path"]


async def test_an_unknown_user_point_is_told_in_the_words_of_the_api(wire):
    user = {"type": "choice", "id": "1", "ts": NOW, "user": {}, "user_point_id": "nobody"}
    answer = await wire.send(mapped({**user, "processing_id": "7", "accepted": True}))
    assert answer.status == 404
    assert json.loads(answer.body)["error"] == "Resource Not Found"
