"""What mapping makes is what the sandbox takes; they share no model."""

import json

import httpx
import pytest

from relay.model import Activity
from relay.sandbox.app import create_app
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.mapping import MappingPolicy, map_event
from relay.stream.mapping.policy import IdentityForm, IdentityPolicy
from relay.stream.mapping.requests import activities_path, activity_request
from tests.support.app_events import ACTIVITIES, VENDOR_SAMPLES, example

NOW = 1769851800123
PATH = activities_path("1234")


@pytest.fixture
async def api():
    transport = httpx.ASGITransport(create_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        client.headers["authorization"] = "token"
        client.headers["content-type"] = "application/json"
        yield client


@pytest.mark.parametrize("form", list(IdentityForm))
@pytest.mark.parametrize("name", ACTIVITIES)
async def test_what_an_example_becomes_is_taken(api, name, form):
    document = example(name)
    if form is IdentityForm.LEGACY and "devices" in document["user"]:
        del document["user"]["devices"][1:]  # the form has room for one of each kind
    policy = MappingPolicy(identity=IdentityPolicy(form=form, default_compartment_id="1000"))
    event = decode(json.dumps(document).encode(), DecodingPolicy())
    activity = map_event(event, policy, NOW)
    assert isinstance(activity, Activity), activity
    request = activity_request(PATH, activity)
    answer = await api.request(request.method, request.path, content=request.body)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok"), answer.text


@pytest.mark.parametrize("path", VENDOR_SAMPLES, ids=lambda path: path.stem)
async def test_a_sample_of_the_vendors_page_is_taken(api, path):
    activity = json.loads(path.read_text(encoding="utf-8"))["activity"]
    answer = await api.post(PATH, content=json.dumps(activity))
    assert (answer.status_code, answer.json()["status"]) == (200, "ok"), answer.text
