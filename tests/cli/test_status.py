import asyncio
import json
import random
import sys

from prometheus_client import CollectorRegistry

from relay.model import Answer, Commit, Moment, Partition, Record
from relay.road.consuming.source import SourceState
from relay.road.facts import Lifecycle
from relay.road.status import ReportPolicy
from relay.stream.engine import Engine
from relay.stream.interpret import OrderBy, interpreter
from relay.stream.policy import EnginePolicy
from relay.stream.status import Reporter
from relay.telemetry.access import Access
from relay.telemetry.admin import View, admin_app, serve_admin
from relay.telemetry.recent import Recent
from tests.support.simulation.world import _INTERPRET, event

TOPIC = Partition("app-events", 3)


async def relay_status(*arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "relay",
        "status",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def stuck_engine():
    """An engine whose only record met a 500 and waits for its next attempt."""
    engine = Engine(EnginePolicy(), interpreter(_INTERPRET[OrderBy.USER]), random.Random(0))
    engine.custody.assign({TOPIC: Commit(17)}, epoch=1, now=100.0)
    now = Moment(100.0, 1_767_225_600_000)
    value = event("somebody-1", 0, now.wall_ms)
    engine.admit(Record(*TOPIC, 17, now.wall_ms, b"k", value, (), epoch=1), now)
    flight = engine.sender.next_flight(now)
    engine.sender.answered(flight, Answer(500), now)
    engine.custody.commits(100.0)
    return engine


async def test_it_names_what_holds_the_frontier_and_why():
    reporter = Reporter(stuck_engine(), emit=lambda fact: None, policy=ReportPolicy())
    reporter.lifecycle = Lifecycle.RUNNING
    reporter.tick(107.0, 0, SourceState(), {TOPIC: 22})
    async with serve_admin(admin_app(reporter, CollectorRegistry()), "127.0.0.1", 0) as url:
        code, out, _ = await relay_status("--url", url)
        assert code == 0
        assert "running, ready" in out
        assert "app-events-3" in out
        assert "offset 17 for 7.0 s, 1 attempt, last http_500" in " ".join(out.split())
        assert "somebody" not in out
        assert "relay_loop_lag_seconds" in {metric.name for metric in reporter.metrics()}
        code, out, _ = await relay_status("--url", url, "--json")
        assert json.loads(out)["ledger"]["open"] == 1
        reporter.lifecycle = Lifecycle.DRAINING
        code, out, _ = await relay_status("--url", url)
        assert code == 10
        assert "not ready: stream: draining" in out


async def test_what_is_wrong_stands_before_all_else():
    reporter = Reporter(stuck_engine(), emit=lambda fact: None, policy=ReportPolicy())
    reporter.lifecycle = Lifecycle.RUNNING
    reporter.tick(107.0, 0, SourceState(), {TOPIC: 22})
    reporter._custody.commit_failed("not authorised", 104.0)
    app = admin_app(
        reporter, CollectorRegistry(), View(Access("127.0.0.1"), Recent(lambda: 0), {}, {})
    )
    async with serve_admin(app, "127.0.0.1", 0) as url:
        _, out, _ = await relay_status("--url", url)
    assert out.splitlines()[1] == (
        "warning  Kafka takes no commits: a restart would send again what was sent since: "
        "not authorised, for 3.0 s"
    )


async def test_nobody_there_is_one_line():
    code, out, err = await relay_status("--url", "http://127.0.0.1:1")
    assert (code, out) == (7, "")
    assert err.count("\n") == 1
    assert "does not answer" in err
