"""`relay send`: a file of records to the API, without Kafka."""

import json
import signal
import subprocess
import sys
import uuid

import pytest

from tests.support.app_events import example
from tests.support.kafka_admin import wait_for
from tests.support.road import DATAMART, TOKEN, Sandbox, bare_environ

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


def events(count, *bad):
    run = uuid.uuid4().hex  # the sandbox knows what it was sent before
    made = [
        json.dumps(
            {**example("track"), "id": f"{run}-{n}", "user": {"accounts": [{"id": f"u{n % 5}"}]}}
        )
        for n in range(count)
    ]
    for at in bad:
        made[at] = '{"type": "track"'
    return "\n".join(made) + "\n"


def started(sandbox, tmp_path, *arguments, **settings):
    given = {
        "tracking": {
            "base_url": sandbox.url,
            "datamart_id": DATAMART,
            "api_token": TOKEN,
        },
        "identity": {"default_compartment_id": "1000"},
        **settings,
    }
    (tmp_path / "relay.yaml").write_text(json.dumps(given))
    return subprocess.Popen(
        [sys.executable, "-m", "relay", "send", *arguments],
        cwd=tmp_path,
        env=bare_environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_every_line_meets_a_fate_and_those_that_die_are_said_and_kept(sandbox, tmp_path):
    (tmp_path / "events.ndjson").write_text(events(40, 6, 20))
    before = sandbox.summary()["events"]
    process = started(sandbox, tmp_path, "events.ndjson", "--rejected", "rest.ndjson", "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 10
    report = json.loads(out)
    assert (report["delivered"], report["dead_lettered"], report["complete"]) == (38, 2, True)
    assert sandbox.summary()["events"] - before == 38
    said = [line for line in err.splitlines() if line.startswith("line ")]
    assert [line.split(":")[0] for line in said] == ["line 7", "line 21"]
    assert all("undecodable, invalid_json" in line for line in said)
    assert (tmp_path / "rest.ndjson").read_text() == '{"type": "track"\n' * 2


def test_records_are_read_as_those_of_the_topic_that_is_named(sandbox, tmp_path):
    mapping = {
        "rules": [
            {
                "track": "bought",
                "id": ".no",
                "ts": ".at",
                "user": {"accounts": [{"id": ".who"}]},
            }
        ]
    }
    source = {"topics": ["shop.*"], "mapping": "shop"}
    (tmp_path / "orders.ndjson").write_text('{"no": "1", "at": 1795339800000, "who": "u1"}\n')
    arguments = ("orders.ndjson", "--topic", "shop.orders")
    process = started(sandbox, tmp_path, *arguments, sources=[source], mappings={"shop": mapping})
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("1 delivered, 0 dead-lettered, 0 skipped, 0 returned in ")


def test_a_pipe_that_pauses_stops_nothing_and_a_signal_ends_it(sandbox, tmp_path):
    process = started(sandbox, tmp_path, "-")
    before = sandbox.summary()["events"]
    process.stdin.write(events(5))
    process.stdin.flush()
    wait_for(lambda: sandbox.summary()["events"] - before == 5, 30, "not all arrived")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    out, _ = process.communicate()
    assert out.startswith("5 delivered")
    assert "stopped before the end" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["nothing.ndjson"], "nothing.ndjson: No such file"), (["-", "--rejected", "no/x"], "no/x:")],
)
def test_files_that_cannot_be_used_are_one_line(sandbox, tmp_path, arguments, says):
    process = started(sandbox, tmp_path, *arguments)
    _, err = process.communicate("", timeout=30)
    assert process.returncode == 8
    assert err.startswith(f"relay: {says}")
