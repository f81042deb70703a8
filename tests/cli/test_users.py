"""`relay users` against the sandbox over real HTTP."""

import json
from types import SimpleNamespace

import httpx
import pytest

from relay import cli
from relay.errors import ExitStatus
from tests.support.leaks import leaks, watched
from tests.support.road import DATAMART, TOKEN, Sandbox

pytestmark = pytest.mark.slow

USER = {"account": "crm-88100", "email": "jane.doe@example.com", "device": "vec:89998434"}
WHOM = ("--account", USER["account"])
PROFILE = f"/v1/datamarts/{DATAMART}/user_points/compartment_id=1000,user_account_id=crm-88100"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as running:
        yield running


@pytest.fixture
def api(sandbox):
    with httpx.Client(base_url=sandbox.url, headers={"authorization": TOKEN}) as client:
        client.delete("/_sandbox")
        client.put("/_sandbox/faults", json={})
        yield client


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, sandbox, api):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, token=TOKEN, url=None, **sections):
        settings = {
            "tracking": {
                "base_url": url or sandbox.url,
                "datamart_id": DATAMART,
                "api_token": token,
            },
            "identity": {"default_compartment_id": "1000"},
            "mapping": {"past_max_days": 36500},
            **sections,
        }
        (tmp_path / "relay.yaml").write_text(json.dumps(settings))
        with pytest.raises(SystemExit) as caught:
            cli.main(["users", *arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(status=caught.value.code, out=out, err=err)

    return run


def profile(api):
    answer = api.get(f"{PROFILE}/user_profiles/compartment_id=1000/user_account_id=crm-88100")
    found = answer.json()["data"]
    return {name: value for name, value in found.items() if not name.startswith("$")}


def test_properties_are_set_and_deleted(run, api):
    end = run("profile", "set", "gender=female", "points:=12", "a:=[1]", *WHOM, "--json")
    assert (end.status, end.err) == (0, "")
    shown = json.loads(end.out)
    assert (shown["gender"], shown["points"], shown["$user_account_id"]) == (
        "female",
        12,
        "crm-88100",
    )
    assert profile(api) == {"gender": "female", "points": 12, "a": [1]}
    assert run("profile", "delete-properties", "points", "a", *WHOM).status == 0
    assert profile(api) == {"gender": "female"}
    assert run("profile", "set", "x=1", *WHOM, "--strategy", "FORCE_REPLACE").status == 0
    assert profile(api) == {"x": "1"}


def test_for_people_a_profile_is_a_line_a_field(run):
    end = run("profile", "set", "gender=female", *WHOM)
    rows = dict(line.split(maxsplit=1) for line in end.out.splitlines())
    assert rows["gender"] == "female"
    assert rows["$user_account_id"] == "crm-88100"
    assert rows["$creation_ts"].endswith("Z")


def test_choices_are_set_listed_and_have_a_history(run):
    at = "2026-01-31T09:30:00.123Z"
    assert run("choices", "set", "2048", "--accept", "--at", at, *WHOM).status == 0
    assert run("choices", "set", "7", "--refuse", "--field", "by=letter", *WHOM).status == 0
    assert run("choices", "set", "2048", "--refuse", "--at", "1769851801000", *WHOM).status == 0
    listed = json.loads(run("choices", "list", *WHOM, "--json").out)
    current = {c["$processing_id"]: c["$choice_acceptance_value"] for c in listed}
    assert current == {"7": False, "2048": False}
    one = json.loads(run("choices", "list", "--processing", "7", *WHOM, "--json").out)
    assert [choice["by"] for choice in one] == ["letter"]
    history = json.loads(run("choices", "history", "2048", *WHOM, "--json").out)
    assert [(c["$choice_acceptance_value"], c["$choice_ts"]) for c in history] == [
        (True, 1769851800123),
        (False, 1769851801000),
    ]
    assert run("choices", "history", "2048", *WHOM).out.splitlines() == [
        "processing  accepted  when                      custom fields",
        "2048        true      2026-01-31T09:30:00.123Z",
        "2048        false     2026-01-31T09:30:01.000Z",
    ]


def test_a_long_history_is_read_to_its_end(run, api):
    path = f"{PROFILE}/user_choices/processing_id=7"
    for number in range(230):
        body = {"$choice_ts": number, "$choice_acceptance_value": True}
        api.put(path, json=body).raise_for_status()
    history = json.loads(run("choices", "history", "7", *WHOM, "--json").out)
    assert [choice["$choice_ts"] for choice in history] == list(range(230))


def test_a_user_without_choices_has_an_empty_list(run):
    end = run("choices", "list", *WHOM, "--json")
    assert (end.status, end.out) == (0, "[]\n")
    assert "no choices" in run("choices", "list", *WHOM).err


def test_every_way_to_name_a_user_leads_to_the_same(run, api):
    both = ("--account", USER["account"], "--email", USER["email"], "--device", USER["device"])
    activity = {
        "$ts": 1769851800123,
        "$type": "TOUCH",
        "$session_status": "NO_SESSION",
        "$user_identifiers": [
            {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": "crm-88100"},
            {"$type": "USER_EMAIL", "$hash": "8c87b489ce35cf2e2f39f80e282cb2e8" * 2},
            {"$type": "USER_AGENT", "$user_agent_id": "vec:89998434"},
        ],
        "$events": [{"$ts": 1769851800123, "$event_name": "seen", "$properties": {}}],
    }
    api.post(f"/v1/datamarts/{DATAMART}/user_activities", json=activity).raise_for_status()
    assert run("choices", "set", "7", "--accept", *both).status == 0
    known = api.get(f"{PROFILE}/user_identifiers").json()["data"]
    (point,) = (one["user_point_id"] for one in known if one["type"] == "USER_POINT")
    for whom in (
        ("--account", USER["account"], "--compartment", "1000"),
        ("--email-hash", "8c87b489ce35cf2e2f39f80e282cb2e8" * 2),
        ("--device", USER["device"]),
        ("--user-point", point),
        ("--user-point", point, "--select", "user_point_bare"),
        (*both, "--select", "device"),
    ):
        listed = json.loads(run("choices", "list", *whom, "--json").out)
        assert [choice["$processing_id"] for choice in listed] == ["7"], whom


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("profile", "set", "x=1"), "nobody is named"),
        (("profile", "set", *WHOM), "no property is given"),
        (("profile", "set", "x", *WHOM), "neither NAME=TEXT nor NAME:=JSON"),
        (("profile", "set", "x:={", *WHOM), "what stands after := is not JSON"),
        (("profile", "set", "x=1", "x=2", *WHOM), "property x is given twice"),
        (("profile", "set", "$user_account_id=x", *WHOM), "reserved_property"),
        (("profile", "set", "x=1", "--email", "a@b.example"), "profile_without_account"),
        (("profile", "delete-properties", *WHOM), "no property is named"),
        (("choices", "set", "--accept", *WHOM), "a choice needs a processing id"),
        (("choices", "set", "7", *WHOM), "a choice needs a processing id and --accept"),
        (("choices", "set", "7", "--accept", "--at", "today", *WHOM), "ts: must be RFC 3339"),
        (("choices", "list", "--compartment", "1"), "give --account too"),
        (("choices", "list", "--account", "guest"), "no_identifier"),
        (("choices", "list", *WHOM, "--select", "email"), "selector_missing"),
        (("choices", "list", *WHOM, "--select", "phone"), "selector: must be one of"),
        (("choices", "list", "--user-point", "a/b"), "user_point_id: has characters"),
        (("choices", "set", "--progress", "p", *WHOM), "belong to --file"),
        (("choices", "set", "--file", "f", *WHOM), "--file says whom and what"),
        (("choices", "set", "--file", "-", "--progress", "p"), "cannot be read again"),
        (("choices", "set", "--file", "nowhere"), "nowhere: No such file"),
    ],
)
def test_what_makes_no_request_is_said_in_one_line(run, arguments, says):
    end = run(*arguments)
    assert end.status == ExitStatus.INPUT
    assert end.out == ""
    assert says in end.err
    assert len(end.err.splitlines()) == 1


def test_an_unknown_strategy_is_a_usage_error(run):
    end = run("profile", "set", "x=1", *WHOM, "--strategy", "MERGE")
    assert end.status == ExitStatus.USAGE
    assert "PARTIAL_UPDATE" in end.err


def test_an_account_without_compartment_and_no_default_is_an_input_error(run):
    end = run("choices", "list", *WHOM, identity={"missing_compartment": "platform"})
    assert end.status == ExitStatus.INPUT
    assert "compartment_missing" in end.err


def test_the_api_s_refusals_have_exit_statuses_and_name_nobody(run):
    unknown = run("choices", "set", "7", "--accept", "--user-point", "nobody-1234")
    assert unknown.status == ExitStatus.INPUT
    assert unknown.err == (
        "relay: mediarithmics: PUT …/user_choices/processing_id: 404: Resource Not Found: "
        "there is no such thing (no such user point, or another datamart: "
        "check tracking.datamart_id)\n"
    )
    strange = run("choices", "list", *WHOM, token="another-token")
    assert strange.status == ExitStatus.DESTINATION
    assert "check tracking.api_token" in strange.err
    nowhere = run("choices", "list", *WHOM, url="http://127.0.0.1:9", delivery={})
    assert nowhere.status == ExitStatus.DESTINATION
    said = unknown.err + strange.err + nowhere.err
    events = [{"user": [USER["account"], "nobody-1234"]}]
    assert leaks(said, watched(events, [TOKEN, "another-token"])) == []


def lines(count=60, users=5):
    """Choices of a few users in turn; the last one of each is what counts."""
    return [
        {
            "user": {"accounts": [{"id": f"account-{number % users}"}]},
            "processing_id": "7",
            "accepted": number % 3 == 0,
            "ts": 1769851800000 + number,
        }
        for number in range(count)
    ]


def write(tmp_path, documents):
    file = tmp_path / "many.ndjson"
    file.write_text("".join(f"{d if isinstance(d, str) else json.dumps(d)}\n" for d in documents))
    return file


def histories(api, users=5):
    base = f"/v1/datamarts/{DATAMART}/user_points"
    found = {}
    for user in range(users):
        path = f"{base}/user_account_id=account-{user}/user_choices/processing_id=7/change_log"
        log = api.get(path, params={"max_results": 1000}).json()["data"]
        found[user] = [choice["$choice_ts"] - 1769851800000 for choice in log]
    return found


def test_a_file_is_put_line_by_line_each_user_in_order(run, api, tmp_path):
    api.put("/_sandbox/faults", json={"latency_ms": [0, 20]})
    file = write(tmp_path, lines())
    end = run("choices", "set", "--file", str(file))
    assert (end.status, end.err) == (0, "")
    assert end.out == "60 of 60 lines done; 0 failed\n"
    assert histories(api) == {user: list(range(user, 60, 5)) for user in range(5)}


def test_what_fails_is_reported_by_line_and_the_others_are_done(run, tmp_path):
    documents = [
        *lines(3),
        "{",
        {"user": {}, "processing_id": "7", "accepted": True},
        {"user": {}, "user_point_id": "nobody-1234", "processing_id": "7", "accepted": True},
        {"type": "profile", "user": {"accounts": [{"id": "a"}]}, "properties": {"x": 1}},
        {**lines(1)[0], "route": "activity"},
        {**lines(1)[0], "accepted": "yes"},
    ]
    file, report = write(tmp_path, documents), tmp_path / "failed.ndjson"
    end = run("choices", "set", "--file", str(file), "--report", str(report), "--json")
    assert end.status == ExitStatus.INPUT
    assert end.err == ""
    assert json.loads(end.out) == {
        "lines": 9,
        "done": 3,
        "failed": 6,
        "failed_by_code": {
            "invalid_json": 1,
            "no_identifier": 1,
            "wrong_type": 1,
            "route_contradicted": 1,
            "invalid_field": 1,
            "http_404": 1,
        },
        "from_line": 1,
    }
    failures = sorted(map(json.loads, report.read_text().splitlines()), key=lambda f: f["line"])
    assert [(f["line"], f["code"]) for f in failures] == [
        (4, "invalid_json"),
        (5, "no_identifier"),
        (6, "http_404"),
        (7, "wrong_type"),
        (8, "route_contradicted"),
        (9, "invalid_field"),
    ]
    assert "nobody-1234" not in report.read_text()
    again = run("choices", "set", "--file", str(file))
    assert "line 4: invalid_json: not valid JSON" in again.err


def test_a_run_that_was_cut_short_goes_on_where_it_stopped(run, api, tmp_path):
    file, kept = write(tmp_path, lines()), tmp_path / "progress.json"
    command = ("choices", "set", "--file", str(file), "--progress", str(kept))
    api.put("/_sandbox/faults", json={"rules": [{"kind": "status", "status": 401, "skip": 30}]})
    end = run(*command)
    assert end.status == ExitStatus.DESTINATION
    stopped = json.loads(kept.read_text())["next_line"]
    assert 1 < stopped <= 31
    assert f"stopped at line {stopped}; the same command goes on there" in end.err
    api.put("/_sandbox/faults", json={})
    end = run(*command, "--json")
    assert end.status == 0
    assert json.loads(end.out)["from_line"] == stopped
    assert not kept.exists()
    for user, numbers in histories(api).items():
        assert numbers[-1] == 55 + user
        assert set(numbers) == set(range(user, 60, 5))


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "no progress of an earlier run"), ('{"source_bytes":1,"next_line":9}', "1 bytes")],
)
def test_a_progress_that_is_about_something_else_is_refused(run, tmp_path, text, says):
    file, kept = write(tmp_path, lines()), tmp_path / "progress.json"
    kept.write_text(text)
    end = run("choices", "set", "--file", str(file), "--progress", str(kept))
    assert end.status == ExitStatus.INPUT
    assert says in end.err


def test_a_file_of_profiles_may_name_strategies_and_one_of_deletions_not(run, api, tmp_path):
    user = {"user": {"accounts": [{"id": "crm-88100"}]}}
    first = write(
        tmp_path,
        [
            {**user, "properties": {"a": 1, "b": 2}},
            {**user, "properties": {"c": 2**70}, "update_strategy": "FORCE_REPLACE"},
            {**user, "properties": {"d": 1}},
        ],
    )
    assert run("profile", "set", "--file", str(first)).status == 0
    assert set(profile(api)) == {"c", "d"}
    second = write(
        tmp_path,
        [
            {**user, "properties": {"d": None}},
            {**user, "properties": {"c": None}, "update_strategy": "FORCE_REPLACE"},
        ],
    )
    end = run("profile", "delete-properties", "--file", str(second))
    assert end.status == ExitStatus.INPUT
    assert "line 2: strategy_contradicted" in end.err
    assert set(profile(api)) == {"c"}
