"""The queries of docs/LOG_QUERIES.md, run by jq on the log of a real run."""

import json
import re
import shutil
import subprocess

import pytest

from scripts.generate import ROOT
from tests.support.embedded import whole_relay
from tests.support.pages import blocks, commands

PAGE = (ROOT / "docs/LOG_QUERIES.md").read_text(encoding="utf-8")
QUERIES = dict(re.findall(r"^## (.+?)$.*?^```sh\n(jq .+?)^```$", PAGE, re.MULTILINE | re.DOTALL))

pytestmark = [
    pytest.mark.skipif(shutil.which("jq") is None, reason="no jq: apt-get install jq"),
    pytest.mark.slow,
]

UNPROCESSABLE = {"kind": "status", "status": 422, "times": 2, "rate": 1.0}
UNAUTHORIZED = {"kind": "status", "status": 401, "times": 5, "rate": 1.0}


@pytest.fixture(scope="module")
def log():
    """Lines of every kind: bad records, refused ones, a token that is refused for a while."""
    with whole_relay(DELIVERY__PROGRESS_EVERY_S="1") as whole:
        whole.feeder.send(200, bad=0.2)
        whole.until_settled(200)
        whole.sandbox.faults({"rules": [UNPROCESSABLE]})
        whole.feeder.send(20)
        whole.until_settled(220)
        whole.sandbox.faults({"rules": [UNAUTHORIZED]})
        whole.feeder.send(20)
        whole.until_settled(240)
        whole.relay.until("destination_resumed")
        assert whole.relay.terminate() == 0
        return whole.relay.text(), whole.relay.lines(), whole.feeder.produced.bad


def answer(question, log):
    """What jq says, line by line."""
    done = subprocess.run(
        ["/bin/sh", "-c", QUERIES[question]],
        input=log[0],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_every_question_of_the_page_has_a_test(request):
    source = request.path.read_text(encoding="utf-8")
    assert QUERIES
    assert [question for question in QUERIES if f'"{question}"' not in source] == []
    shown = [c for block in blocks(ROOT / "docs/LOG_QUERIES.md") for c in commands(block.text)]
    assert len(shown) == len(QUERIES)


def test_who_has_to_act(log):
    (held,) = [json.loads(line) for line in answer("Does anybody have to act?", log)]
    assert (held["event"], held["code"]) == ("destination_held", "http_401")


def test_how_fast_and_how_far_behind(log):
    rows = [line.split("\t") for line in answer("How fast is it, and how far behind?", log)]
    assert rows
    assert {len(row) for row in rows} == {6}
    assert any(int(row[1]) > 0 for row in rows)


def test_why_records_became_dead_letters(log):
    found = [json.loads(line) for line in answer("Why did records become dead letters?", log)]
    counts = {row["why"]: row["count"] for row in found}
    assert counts == {"undecodable invalid_json": log[2], "refused http_422": 2}


def test_the_first_record_with_a_code(log):
    question = "What was the first record with a code, and what did the API say?"
    (first,) = [json.loads(line) for line in answer(question, log)]
    assert re.fullmatch(r"app-events-\d-\d+", first["position"])


def test_when_the_api_was_held(log):
    question = "When was the API held, down or throttling, and for how long?"
    found = [json.loads(line) for line in answer(question, log)]
    assert [row["event"] for row in found] == ["destination_held", "destination_resumed"]
    assert found[1]["after_s"] >= 0  # a hold may be over within a millisecond


def test_which_partitions_came_and_went(log):
    (came, *_) = answer("Which partitions came and went?", log)
    assert came.endswith(" partitions_assigned stream 4")


def test_what_happened_between_two_times(log):
    assert len(answer("What happened between two times?", log)) == len(log[1])


def test_whether_it_stopped_cleanly(log):
    (end,) = [json.loads(line) for line in answer("Did it stop cleanly?", log)]
    assert (end["road"], end["clean"]) == ("stream", True)


def test_some_stages_only(log):
    found = [json.loads(line) for line in answer("Only some stages", log)]
    assert {line["stage"] for line in found} == {"sending"}
