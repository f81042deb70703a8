"""`relay check`: a line for each finding, and the exit status of the first failure."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from confluent_kafka.admin import AclOperation

from relay import cli
from relay.checks.finding import Level
from relay.checks.mapping import check_mapping
from relay.checks.tracking import judged
from relay.errors import ExitStatus
from relay.model import Answer, NoAnswer
from relay.sandbox.app import create_app
from relay.sandbox.options import SandboxOptions
from relay.sandbox.server import serve
from relay.stream.mapping.policy import ActivityPolicy
from tests.support.kafka_security import USERS


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs `relay check --json` with settings; what it says about each subject."""
    monkeypatch.chdir(tmp_path)

    def check(*options):
        with pytest.raises(SystemExit) as caught:
            cli.main(["check", *options])
        return caught.value.code

    async def run(settings, *options):
        (tmp_path / "relay.yaml").write_text(json.dumps(settings))
        status = await asyncio.to_thread(check, *(options or ("--json",)))
        out, err = capsys.readouterr()
        report = json.loads(out) if not options else None
        findings = {} if report is None else {f["subject"]: f for f in report["findings"]}
        return SimpleNamespace(status=status, out=out, err=err, report=report, found=findings)

    return run


@pytest.fixture
async def api():
    options = SandboxOptions(tokens=frozenset({"good"}), datamarts=frozenset({"1234"}))
    app = create_app(options)
    async with serve(app) as url:
        yield SimpleNamespace(url=url, state=app.state.sandbox)


def settings(kafka, url, topic, *, token="good", datamart="1234", dead_letter=None, **more):
    return {
        "kafka": {"bootstrap_servers": kafka.bootstrap_servers, "topics": [topic], **more},
        "dead_letter": dead_letter or {},
        "tracking": {"base_url": url, "api_token": token, "datamart_id": datamart},
    }


@pytest.mark.broker
async def test_when_everything_is_there_all_is_ok_and_nothing_was_moved(run, kafka, topic, api):
    end = await run(settings(kafka, api.url, topic))

    assert end.status == 0
    assert end.err == ""
    assert end.report["ok"]
    assert {f["level"] for f in end.report["findings"]} == {"ok"}
    assert [f["subject"] for f in end.report["findings"]] == [
        "settings",
        "kafka",
        f"topic {topic}",
        "group relay",
        f"topic {topic}.dlq",
        "api",
    ]
    assert api.state.summary()["activities"] == 0
    assert f"{topic}.dlq" not in kafka.admin.list_topics(timeout=30).topics


@pytest.mark.broker
async def test_for_people_there_is_a_line_for_each_finding(run, kafka, topic, api):
    end = await run(settings(kafka, api.url, topic, token="bad"), "--config", "relay.yaml")

    assert end.status == ExitStatus.DESTINATION
    lines = end.out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("ok    settings: ")
    assert lines[-1].startswith(f"fail  api: {api.url}, datamart 1234: the token is refused (401)")
    assert "(check tracking.api_token)" in lines[-1]
    assert "bad" not in end.out.replace("bad Request", "")


@pytest.mark.broker
async def test_every_failure_is_found_in_one_run_and_the_first_gives_the_status(
    run, kafka, topic, api
):
    end = await run(settings(kafka, api.url, "no-such-topic", datamart="99"))

    assert end.status == ExitStatus.TOPIC_MISSING
    assert end.found["topic no-such-topic"]["level"] == "fail"
    assert end.found["api"]["level"] == "fail"
    assert "tracking.datamart_id" in end.found["api"]["hint"]


async def test_settings_that_are_wrong_are_findings_and_nothing_else_is_tried(run):
    end = await run({"kafka": {"bootstrap_server": "x"}, "tracking": {}})

    assert end.status == ExitStatus.SETTINGS
    assert {f["subject"] for f in end.report["findings"]} == {"settings"}
    assert any("bootstrap_servers?" in f["text"] for f in end.report["findings"])


async def test_a_cluster_that_does_not_answer_is_one_failure_and_the_api_is_still_asked(run, api):
    nobody = SimpleNamespace(bootstrap_servers="localhost:1")

    end = await run(settings(nobody, api.url, "events"))

    assert end.status == ExitStatus.KAFKA_UNREACHABLE
    assert [f["level"] for f in end.report["findings"]] == ["ok", "fail", "ok"]


@pytest.mark.broker
async def test_a_login_that_is_refused_is_told_from_a_cluster_that_is_away(run, secured_kafka, api):
    login = {"protocol": "SASL_PLAINTEXT", "username": "relay", "password": "wrong"}
    cluster = SimpleNamespace(bootstrap_servers=secured_kafka.address("SASL_PLAIN"))

    end = await run(settings(cluster, api.url, "events", security=login))

    assert end.status == ExitStatus.KAFKA_REFUSED
    assert "wrong" not in end.out


@pytest.mark.broker
async def test_a_topic_or_group_that_may_not_be_read_is_found_without_joining(
    run, secured_kafka, api
):
    open_topic, closed_topic = secured_kafka.create_topic(), secured_kafka.create_topic()
    secured_kafka.security.deny(secured_kafka.admin, "guest", closed_topic, AclOperation.READ)
    secured_kafka.security.deny_group(secured_kafka.admin, "guest", "closed-group")
    login = {"protocol": "SASL_PLAINTEXT", "username": "guest", "password": USERS["guest"]}
    cluster = SimpleNamespace(bootstrap_servers=secured_kafka.address("SASL_PLAIN"))

    for topic, group in ((closed_topic, "open-group"), (open_topic, "closed-group")):
        end = await run(settings(cluster, api.url, topic, security=login, group_id=group))
        assert end.status == ExitStatus.KAFKA_REFUSED
        assert end.found[f"group {group}"]["level"] == "fail"
        assert "authorization failed" in end.found[f"group {group}"]["text"]


@pytest.mark.broker
async def test_a_pattern_shows_what_it_matches(run, kafka, topic, api):
    kafka.create_topic(f"{topic}-a")
    given = settings(kafka, api.url, topic)
    del given["kafka"]["topics"]

    given["kafka"]["topic_pattern"] = f"{topic}-.*"
    assert f"topic {topic}-a" in (await run(given)).found
    given["kafka"]["topic_pattern"] = "nothing-like-this"
    end = await run(given)
    assert (end.status, end.found["topics"]["level"]) == (0, "warn")


@pytest.mark.broker
async def test_a_missing_topic_that_would_be_waited_for_is_a_warning(run, kafka, api):
    end = await run(settings(kafka, api.url, "not-yet", missing_topics="wait"))

    assert (end.status, end.found["topic not-yet"]["level"]) == (0, "warn")


@pytest.mark.broker
@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"cleanup.policy": "compact"}, "compacted"),
        ({"retention.ms": "3600000"}, "less than a week"),
        ({"retention.ms": "-1", "max.message.bytes": "1000"}, "would be truncated"),
        ({"max.message.bytes": "2000000", "compression.type": "lz4"}, "compression.type=lz4"),
    ],
)
async def test_a_dead_letter_topic_that_would_lose_or_refuse_letters_is_a_warning(  # noqa: PLR0917
    run, kafka, topic, api, config, says
):
    kafka.create_topic(f"{topic}.dlq", config=config)

    end = await run(settings(kafka, api.url, topic))

    assert end.status == 0
    warnings = [f["text"] for f in end.report["findings"] if f["level"] == "warn"]
    assert any(says in text for text in warnings)


@pytest.mark.broker
async def test_a_dead_letter_topic_that_nobody_creates_is_a_failure(run, kafka, topic, api):
    end = await run(settings(kafka, api.url, topic, dead_letter={"create": False}))

    assert end.status == ExitStatus.TOPIC_MISSING
    assert end.found[f"topic {topic}.dlq"]["level"] == "fail"


async def test_where_membership_events_go_is_asked_only_where_they_go_there(run, api):
    away = SimpleNamespace(bootstrap_servers="localhost:1")
    made = settings(away, api.url, "events", request_timeout_s=1)
    assert "segments" not in (await run(made)).found
    made["segments"] = {"membership": {"enabled": True}}
    found = (await run(made)).found["segments"]
    assert found["level"] == Level.OK
    assert "relay-membership-relay-segments-" in found["text"]
    made["tracking"]["api_token"] = "bad"
    found = (await run(made)).found["segments"]
    assert (found["level"], found["hint"]) == (Level.FAIL, "check tracking.api_token")
    made["segments"]["membership"]["group_id"] = "relay"
    found = (await run(made)).found["segments"]
    assert found["hint"] == "each needs a group of its own: both read every record"


async def test_the_vendors_of_segments_that_the_settings_name_are_asked_too(run, api):
    away = SimpleNamespace(bootstrap_servers="localhost:1")
    made = settings(away, api.url, "events", request_timeout_s=1)
    login = {"base_url": api.url, "user_name": "u", "password": "pw"}
    mparticle = {"base_url": api.url, "api_key": "k", "access_token": "t"}
    made["segments"] = {"digital_audience": login, "mparticle": mparticle}
    found = (await run(made)).found
    assert {found[name]["level"] for name in ("mparticle", "digital audience")} == {Level.OK}


@pytest.mark.parametrize(
    ("status", "level"),
    [
        (400, Level.OK),
        (415, Level.OK),
        (422, Level.OK),
        (401, Level.FAIL),
        (403, Level.FAIL),
        (404, Level.FAIL),
        (405, Level.FAIL),
        (301, Level.FAIL),
        (200, Level.WARN),
        (429, Level.WARN),
        (503, Level.WARN),
    ],
)
def test_what_the_apis_answer_to_the_probe_means(status, level):
    finding = judged(Answer(status), "https://api.example")

    assert finding.level is level
    assert (finding.status is ExitStatus.DESTINATION) == (level is Level.FAIL)
    assert str(status) in finding.text


def test_no_answer_is_a_failure():
    answer = Answer(0, no_answer=NoAnswer.CONNECT, detail="connection refused")

    finding = judged(answer, "https://api.example")

    assert finding.level is Level.FAIL
    assert "connection refused" in finding.text


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({"default_app_id": "1023"}, True),
        ({"default_app_id": "1023", "session_status": "IN_SESSION"}, False),
        ({"default_site_id": "7"}, False),
        ({}, False),
    ],
)
def test_an_app_channel_without_sessions_is_a_warning(given, warned):
    found = list(check_mapping(ActivityPolicy(**given)))
    assert [finding.level for finding in found] == [Level.WARN] * warned
