"""`relay check` on the vendors of segments: what the settings name is tried, and no other."""

import httpx
import pytest

from relay.checks.finding import Level
from relay.checks.segments import check_segments
from relay.sandbox.app import create_app
from relay.sandbox.options import SandboxOptions
from relay.sandbox.server import serve
from relay.settings import load

SEGMENT = "82200474-c131-4f7b-a35e-381469af31a7"


@pytest.fixture
async def vendors():
    app = create_app(SandboxOptions(tokens=frozenset({"good"})))
    async with serve(app) as url, httpx.AsyncClient(base_url=url, verify=False) as client:
        yield url, client


async def findings(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(f"RELAY_SEGMENTS__{name.upper()}", value)
    settings = load(None, needs=("segments",))
    return {f.subject: f async for f in check_segments(settings)}


async def test_what_is_not_in_the_settings_is_not_spoken_of(monkeypatch):
    assert await findings(monkeypatch) == {}


async def test_each_vendor_is_tried(monkeypatch, vendors):
    url, client = vendors
    await client.put(f"/_sandbox/mparticle/segments/{SEGMENT}", content=b"id\n")
    given = {
        "mparticle__base_url": url,
        "mparticle__api_key": "k",
        "mparticle__access_token": "t",
        "digital_audience__base_url": url,
        "digital_audience__user_name": "u",
        "digital_audience__password": "pw",
        "syncs": f'[{{"name": "a", "mparticle_segment_id": "{SEGMENT}", "segment_id": "7"}}]',
    }
    found = await findings(monkeypatch, **given)
    assert {name: f.level for name, f in found.items()} == {
        "mparticle": Level.OK,
        "s3": Level.OK,
        "digital audience": Level.OK,
    }
    assert "1 segment of" in found["mparticle"].text
    unknown = given["syncs"].replace(SEGMENT, "nobody-knows")
    found = await findings(monkeypatch, **given | {"syncs": unknown})
    assert found["mparticle"].level is Level.FAIL
    assert "the sync a names a segment" in found["mparticle"].text


async def test_a_refused_login_is_a_failure(monkeypatch, vendors):
    url, client = vendors
    await client.put("/_sandbox/digital_audience", json={"password": "right"})
    found = await findings(
        monkeypatch,
        digital_audience__base_url=url,
        digital_audience__user_name="u",
        digital_audience__password="wr0ng",
    )
    assert found["digital audience"].level is Level.FAIL
    assert "wr0ng" not in str(found)
