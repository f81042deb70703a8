"""The lines of a file: bounded, in order, and from any cut on to the same end."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.apis.errors import LoginRefused, Refused
from relay.cli.users.files import CONCURRENCY, FileRun, Progress
from relay.cli.users.lines import reader
from relay.model import Request
from relay.stream.decoding import DecodingPolicy
from relay.stream.mapping import MappingPolicy
from relay.stream.mapping.policy import IdentityPolicy

NOW = 1769851800123
READER = reader(
    "choice",
    DecodingPolicy(),
    MappingPolicy(identity=IdentityPolicy(default_compartment_id="1"), required_processings=("9",)),
)


async def numbered(count):
    for number in range(1, count + 1):
        yield number, b""


class Platform:
    """Keeps the last line of each user; may go away after some calls."""

    def __init__(self, calls_max=10**9):
        self.last = {}
        self.calls = 0
        self.calls_max = calls_max
        self.under_way = 0
        self.under_way_max = 0

    async def put(self, request):
        self.under_way += 1
        self.under_way_max = max(self.under_way, self.under_way_max)
        # Later lines of other users may overtake: the path is the number of the line.
        for _ in range(int(request.path) * 7 % 5):
            await asyncio.sleep(0)
        self.under_way -= 1
        self.calls += 1
        if self.calls > self.calls_max:
            raise LoginRefused("401")
        if int(request.path) % 11 == 0:
            raise Refused("400", status=400)
        self.last[request.body] = int(request.path)


def run_of(platform, users, progress=None, failed=None):
    def read(_, number):
        user = str(number % users)
        return Request("PUT", str(number), user.encode(), user=user)

    fail = (
        (lambda number, code, reason: failed.append((number, code)))
        if failed is not None
        else (lambda *_: None)
    )
    return FileRun(platform.put, read, progress or Progress(None, 0), fail, lambda *_: None)


async def test_calls_are_bounded_and_failures_are_counted_by_line():
    platform, failed = Platform(), []
    run = run_of(platform, 50, failed=failed)
    await run.through(numbered(200))
    assert 1 < platform.under_way_max <= CONCURRENCY
    assert sorted(failed) == [(number, "http_400") for number in range(11, 201, 11)]
    assert (run.tally.lines, run.tally.done, run.tally.failed_lines) == (200, 182, 18)


@settings(deadline=None)
@given(cut=st.integers(1, 120), users=st.integers(1, 40))
def test_from_any_cut_on_the_end_is_the_same(tmp_path_factory, cut, users):
    file = tmp_path_factory.mktemp("cut") / "progress.json"
    whole, platform = Platform(), Platform(calls_max=cut)

    async def go():
        await run_of(whole, users).through(numbered(120))
        try:
            await run_of(platform, users, Progress(file, 7)).through(numbered(120))
        except ExceptionGroup:
            assert json.loads(file.read_text())["next_line"] <= platform.calls + 1
        platform.calls_max = 10**9
        await run_of(platform, users, Progress(file, 7)).through(numbered(120))

    asyncio.run(go())
    assert platform.last == whole.last
    assert not file.exists()


def test_the_consent_gate_is_about_the_stream():
    line = b'{"user":{"accounts":[{"id":"a"}]},"processing_id":"7","accepted":true}'
    assert isinstance(READER.update(line, 1, NOW), Request)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"[]", "not_an_object"),
        (b"{}", "missing_field"),
        (b'{"type":"choice","type":"choice"}', "duplicate_key"),
        (b'{"user":{},"user":{}}', "duplicate_key"),
        (b'{"type":"track","event":"x","user":{}}', "wrong_type"),
        (b'{"type":"order","user":{}}', "unknown_type"),
        (b"\xff", "not_utf8"),
        (b'{"user":{"accounts":[{"id":9007199254740993}]},"processing_id":"7"}', "invalid_field"),
    ],
)
def test_a_line_is_held_to_the_rules_of_events(line, code):
    assert READER.update(line, 1, NOW).code == code
