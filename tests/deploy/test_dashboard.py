"""Every query of every panel, asked of a real Prometheus that scraped a running Relay."""

import json
import threading

import orjson
import pytest

from scripts.dashboard import ROWS
from scripts.generate import ROOT
from tests.support.embedded import whole_relay
from tests.support.kafka_admin import wait_for
from tests.support.prometheus import prometheus

pytestmark = pytest.mark.slow

QUERIES = [
    (panel.title, query.replace("@", '{job=~".*"}').replace('job=~"$job"', 'job=~".*"'))
    for _, row in ROWS
    for panel in row
    for query, _ in panel.queries
]
INTERVAL = "20s"
"""In the place of Grafana's `$__rate_interval`."""

# Counters that exist at once and need no fault; what stands for nothing is no series.
NEEDS_TROUBLE = ("relay_kafka_errors_total", "relay_commit_errors_total")


def segment(user, number):
    return orjson.dumps(
        {
            "type": "segment",
            "id": f"{user}-s{number}",
            "ts": 1_767_225_600_000,
            "user": {"accounts": [{"id": user}]},
            "action": "add",
            "segment_ids": ["88"],
        }
    )


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """What each query answers after a scenario that has some of everything."""
    settings = {
        "SEGMENTS__MEMBERSHIP__ENABLED": "true",
        "SEGMENTS__MEMBERSHIP__DELAY_GOAL_S": "0.6",
        "SEGMENTS__IMPORTS__POLL_S": "0.1",
    }
    with whole_relay(users=50, **settings) as whole:
        whole.sandbox.http.put("/_sandbox/imports", json={"pending_ms": 30, "running_ms": 60})
        whole.relay.until("partitions_assigned")
        with prometheus(tmp_path_factory.mktemp("prometheus"), whole.admin) as server:
            faults = [
                {"kind": "status", "status": 429, "retry_after_s": 1, "rate": 0.02, "times": 3},
                {"kind": "status", "status": 422, "rate": 0.05},
            ]
            over = threading.Event()

            def feed():
                number = 0
                while not over.wait(0.2):
                    whole.feeder.send(20, bad=0.05)
                    whole.feeder._produce("s", segment("user-00001", number))
                    number += 1

            feeding = threading.Thread(target=feed, daemon=True)
            feeding.start()
            for status, event in ((503, "destination_down"), (401, "destination_held")):
                rule = {"kind": "status", "status": status, "path": "*activities*"}
                whole.sandbox.faults({"rules": [rule]})
                whole.relay.until(event)
            whole.sandbox.faults({"rules": faults, "latency_ms": 5})
            answers = {}

            def all_have_data():
                for _, query in QUERIES:
                    if not answers.get(query):
                        answers[query] = server.values(query.replace("$__rate_interval", INTERVAL))
                return all(answers[query] for _, query in QUERIES if expected(query))

            try:
                wait_for(all_have_data, 50, "panels without data")
            finally:
                over.set()
                feeding.join(60)
                yield answers


def expected(query):
    return not any(name in query for name in NEEDS_TROUBLE)


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_a_panel_has_data(asked, title, query):
    if expected(query):
        assert asked[query], title


def test_the_queries_are_those_of_the_dashboard_that_is_shipped():
    shipped = json.loads((ROOT / "deploy/dashboard.json").read_text(encoding="utf-8"))
    exprs = [target["expr"] for panel in shipped["panels"] for target in panel.get("targets", ())]
    assert [expr.replace("$job", ".*") for expr in exprs] == [query for _, query in QUERIES]
