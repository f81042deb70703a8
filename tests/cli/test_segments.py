"""`relay segments`: every command, against the sandbox, as somebody would type it."""

import gzip
import json
import re
import shlex
from pathlib import Path

import httpx
import pytest
import yaml

from relay import cli
from relay.apis.addresses import PATHS
from relay.errors import ExitStatus
from relay.segments.database import locked
from tests.support.sandbox_thread import sandbox_thread

pytestmark = pytest.mark.slow

SOURCE = "82200474-c131-4f7b-a35e-381469af31a7"
TOKEN = "t0ken"
PASSWORD = "pa55"


@pytest.fixture(scope="module")
def sandbox():
    with sandbox_thread(tokens=frozenset({TOKEN})) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture
def vendors(sandbox):
    """The vendors' side, empty and quick."""
    sandbox.delete("/_sandbox")
    sandbox.put("/_sandbox/imports", json={"pending_ms": 0, "running_ms": 20})
    sandbox.put("/_sandbox/mparticle", json={"takes_ms": 20})
    sandbox.put(
        f"/_sandbox/mparticle/segments/{SOURCE}",
        params={"name": "Churn"},
        content=b"mpid\n11\n12\n",
    )
    return sandbox


@pytest.fixture
def config(tmp_path, vendors):
    url = str(vendors.base_url)
    path = tmp_path / "relay.yaml"
    quick = {"poll_s": 0.02, "poll_s_max": 0.05}
    sync = {"name": "churn", "mparticle_segment_id": SOURCE, "segment_id": "7", "removals_free": 1}
    path.write_text(
        yaml.safe_dump(
            {
                "tracking": {"base_url": url, "datamart_id": 1234, "api_token": TOKEN},
                "segments": {
                    "state_dir": str(tmp_path / "state"),
                    "mparticle": {"base_url": url, "api_key": "k", "access_token": "s", **quick},
                    "exports": {"allow_private_hosts": True},
                    "imports": {"adoption_s": 0.2, **quick},
                    "digital_audience": {
                        "base_url": url, "user_name": "u", "password": PASSWORD,
                    },
                    "syncs": [sync],
                },
            }
        )
    )  # fmt: skip
    return path


@pytest.fixture
def relay(config, capsys):
    """Run a command: its exit status, standard output and standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main(["segments", *arguments, "--config", str(config)])
        return caught.value.code, *capsys.readouterr()

    return run


def members(vendors):
    lines = vendors.get("/_sandbox/segments/id/7", headers={"Authorization": TOKEN}).text
    return {json.loads(line)["user"][2] for line in lines.splitlines()}


def uploads(vendors):
    return len(vendors.get("/_sandbox/imports/executions").json())


def test_segments_of_the_project_are_listed(relay):
    status, out, _ = relay("list")
    assert status == 0
    assert out.splitlines()[0].split() == ["ID", "NAME", "TYPE", "LAST", "RUN", "CATEGORY"]
    assert out.splitlines()[1].startswith(f"{SOURCE}  Churn  Dynamic")
    _, out, _ = relay("list", "--json")
    assert json.loads(out)[0]["segment_id"] == SOURCE


def test_segments_of_an_audience_and_accounts_are_listed(relay):
    _, out, _ = relay("list", "--audience", "77")
    assert json.loads(out)["data"][0]["name"] == "Churn NL"  # as it came
    _, out, _ = relay("list", "--accounts")
    assert json.loads(out)["data"][0]["name"] == "Account"
    assert "secret-of-the-account" not in out


def test_a_segment_is_exported_to_a_file(relay, tmp_path):
    to = tmp_path / "users.csv"
    status, out, err = relay("export", SOURCE, "--to", str(to), "--json")
    assert status == 0
    assert to.read_bytes() == b"mpid\n11\n12\n"
    result = json.loads(out)
    assert result["bytes"] == 11
    assert f"--export-id {result['export_id']}" in err
    relay("export", SOURCE, "--to", str(tmp_path / "again.csv"), "--export-id", result["export_id"])
    assert (tmp_path / "again.csv").exists()


def test_one_export_of_a_segment_at_a_time(relay, tmp_path):
    with locked(tmp_path / "state" / "exports" / SOURCE, "x"):
        status, _, err = relay("export", SOURCE)
    assert status == ExitStatus.SEGMENT_BUSY
    assert f"the export of {SOURCE} is being worked on by process" in err


def test_a_sync_shows_its_plan_does_it_and_tells_what_it_did(relay, vendors):
    status, out, _ = relay("sync", "churn", "--plan")
    assert status == 0
    assert out.splitlines()[:2] == [
        "churn: 2 users in 2 rows (0 rows without an id, 0 repeated)",
        "  enter             2",
    ]
    assert uploads(vendors) == 0
    status, out, err = relay("sync")
    assert status == 0
    assert "2 commands in 1 file (" in out
    assert "2 taken, 0 rejected" in out
    assert "2 members" in out
    assert members(vendors) == {"11", "12"}
    assert "uploading" in err
    _, out, _ = relay("sync", "churn", "--json")
    assert json.loads(out)["plan"]["staying"] == 2


def test_a_sync_that_stops_itself_says_how_to_go_on(relay, vendors, tmp_path):
    relay("sync")
    users = tmp_path / "users.csv"
    users.write_text("mpid\n13\n")
    status, _, err = relay("sync", "--file", str(users))
    assert status == ExitStatus.SEGMENT_STOPPED
    assert "2 of 2 members would leave" in err
    assert "--allow-removals" in err
    assert relay("sync", "--file", str(users), "--allow-removals")[0] == 0
    assert members(vendors) == {"13"}


def test_rejected_lines_are_a_finding(relay, vendors):
    vendors.put("/_sandbox/imports", json={"running_ms": 0, "reject_containing": '"11"'})
    status, out, err = relay("sync")
    assert status == ExitStatus.FINDINGS
    assert "rejected: 1 times user unknown" in out
    assert "errors-0001" in err


def test_an_export_of_nobody_and_one_that_cannot_be_read(relay, vendors):
    vendors.put(f"/_sandbox/mparticle/segments/{SOURCE}", content=b"mpid\n")
    status, _, err = relay("sync")
    assert (status, "names no user in 0 rows" in err) == (ExitStatus.INPUT, True)
    vendors.put(f"/_sandbox/mparticle/segments/{SOURCE}", content=b"mpid\n11\nx\n")
    status, _, err = relay("sync")
    assert (status, "export.csv:3: column 1 holds no mpid" in err) == (ExitStatus.INPUT, True)
    assert uploads(vendors) == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "mine.csv: cannot be read: No such file"),
        ("mpid\nx y\n", "mine.csv:2: column 1 holds no mpid"),
        ("mpid,x\n1\n", "mine.csv:2: has 1 columns where the first line has 2"),
        ("mpid\n", "names no user in 0 rows"),
    ],
)
def test_a_file_of_ones_own_is_named_as_it_was_given(relay, vendors, tmp_path, content, says):
    file = tmp_path / "mine.csv"
    if content is not None:
        file.write_text(content)
    status, _, err = relay("sync", "--file", str(file))
    assert (status, says in err) == (ExitStatus.INPUT, True)
    assert str(file) in err
    assert "relay: " in err.splitlines()[-1]
    assert uploads(vendors) == 0


def test_a_segment_that_mparticle_does_not_know_is_said_with_what_to_do(relay):
    status, _, err = relay("export", "nobody-knows")
    assert (status, "relay segments list" in err) == (ExitStatus.INPUT, True)


def test_a_place_that_is_not_there_is_said_before_anything_is_asked(relay, vendors, tmp_path):
    status, _, err = relay("export", SOURCE, "--to", str(tmp_path / "none" / "users.csv"))
    assert (status, "there is no such directory" in err) == (ExitStatus.INPUT, True)
    assert vendors.get("/_sandbox/mparticle/exports").json() == []


def test_another_sync_of_the_segment_is_said(relay, tmp_path):
    with locked(tmp_path / "state" / "syncs" / "churn", "x"):
        status, _, err = relay("sync")
    assert status == ExitStatus.SEGMENT_BUSY
    assert "one at a time" in err


def test_an_unknown_sync_is_said_with_those_that_are_known(relay):
    status, _, err = relay("sync", "nope")
    assert status == ExitStatus.SETTINGS
    assert "known are: churn" in err


def test_status_tells_of_the_last_run_and_of_none(relay):
    assert "churn: was never run" in relay("status")[1]
    relay("sync")
    assert relay("status", "churn")[1].startswith("churn: done at 20")
    _, out, _ = relay("status", "--json")
    found = json.loads(out)["churn"]
    assert found["members"] == 2
    assert found["began"] <= found["ended"]


def test_status_tells_of_a_run_that_can_be_gone_on_with(relay, vendors):
    refused = {"kind": "status", "status": 401, "path": "/v1/*"}
    vendors.put("/_sandbox/faults", json={"rules": [refused]})
    assert relay("sync")[0] == ExitStatus.DESTINATION
    out = relay("status")[1]
    assert out.startswith("churn: open since 20")
    assert "the next one goes on with it" in out
    vendors.put("/_sandbox/faults", json={})
    assert "continued after an interruption" in relay("sync")[1]


def test_a_sync_that_has_nothing_to_do_says_so_and_a_plan_says_that_nothing_was_sent(relay):
    relay("sync")
    _, out, err = relay("sync")
    assert "nothing was to be sent" in out
    assert "uploading" not in err
    relay("sync", "--plan")
    assert relay("status")[1].splitlines()[1] == "  nothing was sent"


def test_a_file_of_commands_is_imported_once(relay, vendors, tmp_path):
    file = tmp_path / "vip.ndjson"
    file.write_text(
        "".join(
            json.dumps(
                {"operation": "UPDATE", "email_hash": user, "segment_id": "7",
                 "expiration_duration": 60}
            ) + "\n"
            for user in ("aa", "bb")
        )
    )  # fmt: skip
    status, out, _ = relay("import", str(file), "--dry-run")
    assert (status, uploads(vendors)) == (0, 0)
    assert "2 UPDATE, 0 DELETE; not uploaded" in out
    assert relay("import", str(file))[0] == 0
    assert members(vendors) == {"aa", "bb"}
    status, _, err = relay("import", str(file))
    assert (status, "was imported at" in err, "--again" in err) == (ExitStatus.INPUT, True, True)
    assert uploads(vendors) == 1
    assert relay("import", str(file), "--again")[0] == 0
    assert uploads(vendors) == 2


def test_a_csv_of_commands_is_imported_as_csv(relay, vendors, tmp_path):
    file = tmp_path / "vip.txt"
    file.write_text(
        "operation,user_account_id,segment_ids,expiration_duration\n"
        'UPDATE,"a, ""b""","[""7"",""8""]",0\n'
    )
    assert relay("import", str(file), "--format", "TEXT_CSV")[0] == 0
    assert members(vendors) == {'a, "b"'}


@pytest.mark.parametrize(
    ("name", "content", "options", "says"),
    [
        ("x.ndjson", '{"operation":"UPDATE"}\n', [], "x.ndjson:1: expiration_duration: Field"),
        ("x.ndjson", "", [], "holds no command"),
        ("x.txt", "", [], "the name does not tell the format"),
        ("x.txt", "", ["--format", "APPLICATION_JSON"], "APPLICATION_X_NDJSON or TEXT_CSV only"),
        ("gone.csv", None, [], "gone.csv: cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_imported_uploads_nothing(  # noqa: PLR0917
    relay, vendors, tmp_path, name, content, options, says
):
    if content is not None:
        (tmp_path / name).write_text(content)
    status, _, err = relay("import", str(tmp_path / name), *options)
    assert status == ExitStatus.INPUT
    assert says in err
    assert uploads(vendors) == 0


def test_rejected_lines_of_an_import_are_a_finding_and_it_counts_as_imported(
    relay, vendors, tmp_path
):
    vendors.put("/_sandbox/imports", json={"running_ms": 0, "segments": ["8"]})
    file = tmp_path / "vip.csv"
    file.write_text(
        "OPERATION,EMAIL_HASH,SEGMENT_ID,EXPIRATION_DURATION\nUPDATE,aa,7,0\nUPDATE,aa,8,0\n"
    )
    status, out, _ = relay("import", str(file))
    assert status == ExitStatus.FINDINGS
    assert "1 taken, 1 rejected" in out
    assert "segment unknown" in out


def audience_state(vendors):
    return vendors.get("/_sandbox/digital_audience").json()


def test_a_segments_end_is_moved_but_not_back_by_mistake(relay, vendors):
    status, out, _ = relay("extend", "501", "--until", "2027-06-30", "--dry-run")
    assert (
        status,
        "would end at 2027-06-30 00:00 UTC, not 2025-12-16T11:36:10.6878666Z" in out,
    ) == (
        0,
        True,
    )
    assert audience_state(vendors)["segments"][0]["endDate"].startswith("2025")
    assert relay("extend", "501", "--until", "2027-06-30T12:00:00+02:00")[0] == 0
    assert audience_state(vendors)["segments"][0]["endDate"] == "2027-06-30T10:00:00.0000000Z"
    status, _, err = relay("extend", "501", "--until", "2026-01-01")
    assert (status, "--shorten" in err) == (ExitStatus.INPUT, True)
    assert relay("extend", "501", "--until", "2026-01-01", "--shorten")[0] == 0
    assert relay("extend", "501", "--until", "soon")[0] == ExitStatus.USAGE


def test_a_segment_is_shown_and_deleted_when_it_is_meant(relay, vendors):
    shown = json.loads(relay("status", "--segment", "501")[1])
    assert shown["data"]["name"] == "Churn NL"
    assert "would be deleted" in relay("delete", "501", "--dry-run")[1]
    status, _, err = relay("delete", "501")
    assert (status, "say --yes" in err) == (ExitStatus.USAGE, True)
    assert len(audience_state(vendors)["segments"]) == 1
    assert relay("delete", "501", "--yes")[0] == 0
    assert audience_state(vendors)["segments"] == []
    status, _, err = relay("delete", "501", "--yes")
    assert (status, "there is no such thing" in err) == (ExitStatus.INPUT, True)


def test_an_audience_is_created(relay, vendors):
    arguments = ("audience", "create", "Churn NL", "--campaign", "31")
    assert "would be created" in relay(*arguments, "--dry-run")[1]
    assert audience_state(vendors)["audiences"] == []
    _, out, _ = relay(*arguments, "--json")
    made = json.loads(out)
    assert (made["campaign_id"], made["changed"]) == ("31", True)
    assert made["answer"]["data"]["name"] == "Churn NL"


def test_segments_are_moved_and_deleted_where_every_answer_is_empty(relay, vendors):
    vendors.put("/_sandbox/digital_audience", json={"empty_answers": True})
    status, out, _ = relay("extend", "501", "--until", "2027-06-30")
    assert (status, "not an unknown time" in out) == (0, True)
    assert audience_state(vendors)["segments"][0]["endDate"] == "2027-06-30T00:00:00.0000000Z"
    assert relay("delete", "501", "--yes")[0] == 0
    assert audience_state(vendors)["segments"] == []


def test_segments_are_moved_and_deleted_where_the_path_to_look_at_them_is_another(
    relay, vendors, config
):
    """A single-page app answers every path that it does not know by its page."""
    settings = yaml.safe_load(config.read_text())
    settings["segments"]["digital_audience"]["paths"] = {"segment": "/segment/spa/{id}"}
    config.write_text(yaml.safe_dump(settings))
    status, _, err = relay("extend", "501", "--until", "2027-06-30")
    assert (status, "segments.digital_audience.paths" in err) == (0, True)
    assert audience_state(vendors)["segments"][0]["endDate"] == "2027-06-30T00:00:00.0000000Z"
    assert relay("delete", "501", "--yes")[0] == 0
    assert audience_state(vendors)["segments"] == []


@pytest.mark.parametrize(
    ("section", "name", "arguments"),
    [
        ("mparticle", "access_token", ["list"]),
        ("digital_audience", "password", ["status", "--segment", "501"]),
    ],
)
def test_credentials_that_are_missing_are_named(relay, config, section, name, arguments):
    settings = yaml.safe_load(config.read_text())
    del settings["segments"][section][name]
    config.write_text(yaml.safe_dump(settings))
    status, _, err = relay(*arguments)
    assert status == ExitStatus.SETTINGS
    assert f"segments.{section}.{name} is missing" in err


def test_no_secret_and_no_user_is_ever_said(relay, vendors):
    said = ""
    vendors.put("/_sandbox/imports", json={"running_ms": 0, "reject_containing": '"11"'})
    for arguments in (["sync"], ["status"], ["list"], ["status", "--segment", "501"]):
        said += "".join(relay(*arguments)[1:])
    vendors.put("/_sandbox/faults", json={"rules": [{"kind": "status", "status": 401}]})
    said += "".join(relay("sync")[1:]) + "".join(relay("list")[1:])
    for secret in (TOKEN, PASSWORD, '"11"', " 11 "):
        assert secret not in said


def test_a_machine_reads_why_a_sync_stopped(relay, vendors):
    def export_is(users):
        content = "mpid\n" + "".join(f"{user}\n" for user in users)
        vendors.put(f"/_sandbox/mparticle/segments/{SOURCE}", content=content.encode())

    export_is(range(1000, 1200))
    assert relay("sync", "--json")[0] == 0
    export_is(range(1000, 1100))
    status, out, err = relay("sync", "--json")
    report = json.loads(out)
    assert (status, report["outcome"]) == (ExitStatus.SEGMENT_STOPPED, "stopped")
    assert report["plan"]["leaving"] == 100
    assert report["problem"] in err


def test_status_knows_imports_too(relay, tmp_path):
    command = {"operation": "UPDATE", "user_account_id": "a", "segment_id": "7"}
    path = tmp_path / "vip.ndjson.gz"
    path.write_bytes(gzip.compress(json.dumps(command | {"expiration_duration": 0}).encode()))
    assert relay("import", str(path))[0] == 0
    documents = json.loads(relay("status", "--json")[1])
    (imported,) = [value for name, value in documents.items() if name.startswith("import ")]
    assert (imported["outcome"], imported["commands"]) == ("done", 1)


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_a_user_who_enters_and_leaves_in_one_file_is_refused(relay, vendors, tmp_path, form):
    path = tmp_path / f"both.{form}"
    command = {"operation": "UPDATE", "user_account_id": "a", "expiration_duration": 0}
    if form == "ndjson":
        lines = [
            command | {"segment_ids": ["7", "8"]},
            command | {"segment_id": "7", "user_account_id": "b"},
            command | {"segment_id": "8", "operation": "DELETE"},
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        path.write_text(
            "OPERATION,USER_ACCOUNT_ID,SEGMENT_ID,EXPIRATION_DURATION\n"
            "UPDATE,a,8,0\nUPDATE,b,8,0\nDELETE,a,8,0\n"
        )
    status, _, err = relay("import", str(path))
    assert status == ExitStatus.INPUT
    assert "once to enter the segment and once to leave it" in err
    assert vendors.get("/_sandbox/imports/executions").json() == []


PAGE = Path(__file__).parents[2] / "docs/SEGMENTS_REFERENCE.md"
CALLS = re.findall(
    r"^\| `([A-Z]+) (/[^`]+)` \| `relay segments ([^`]+)` \|$", PAGE.read_text(), re.MULTILINE
)


@pytest.mark.parametrize(("method", "path", "command"), CALLS)
def test_every_call_of_the_vendors_is_made_by_the_command_that_the_page_names(  # noqa: PLR0917
    relay, vendors, tmp_path, monkeypatch, method, path, command
):
    monkeypatch.chdir(tmp_path)
    line = {"operation": "UPDATE", "user_account_id": "a", "segment_id": "7"}
    (tmp_path / "vip.ndjson").write_text(json.dumps(line | {"expiration_duration": 0}) + "\n")
    assert relay(*shlex.split(command))[0] == 0
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))
    log = [json.loads(line) for line in vendors.get("/_sandbox/log").text.splitlines()]
    assert [
        entry for entry in log if entry["method"] == method and re.fullmatch(pattern, entry["path"])
    ]


def test_every_path_that_relay_knows_of_digital_audience_has_a_command():
    said = {path.split("{")[0] for _, path, _ in CALLS}
    assert {path.split("{")[0] for path in PATHS.values()} <= said
