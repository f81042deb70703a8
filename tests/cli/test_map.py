"""`relay map`: what would be sent, and what would not be."""

import io
import json
from types import SimpleNamespace

import pytest

from relay import cli
from relay.errors import ExitStatus
from relay.settings import load
from tests.support.app_events import VENDOR_SAMPLES, example

SETTINGS = {
    "identity": {"default_compartment_id": "1000", "email": {"send_clear": True}},
    "mapping": {"past_max_days": 36500},
}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs `relay map` on lines, in an empty directory, with settings."""
    monkeypatch.chdir(tmp_path)

    def run(lines, *options, settings=SETTINGS):
        config = tmp_path / "relay.yaml"
        config.write_text(json.dumps(settings))
        source = tmp_path / "events.ndjson"
        source.write_bytes(
            b"\n".join(
                line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
            )
        )
        with pytest.raises(SystemExit) as caught:
            cli.main(["map", str(source), "--config", str(config), *options])
        out, err = capsys.readouterr()
        requests = [json.loads(line) for line in out.splitlines()]
        return SimpleNamespace(status=caught.value.code, requests=requests, out=out, err=err)

    return run


def test_the_vendors_page_has_four_activity_samples():
    assert len(VENDOR_SAMPLES) == 4


@pytest.mark.parametrize("path", VENDOR_SAMPLES, ids=lambda path: path.stem)
def test_a_sample_of_the_vendors_page_comes_out_exactly(run, path):
    case = json.loads(path.read_text(encoding="utf-8"))
    end = run([case["event"]], "--show-personal-data", settings=case["settings"])
    assert (end.status, end.err) == (0, "")
    (request,) = end.requests
    assert request["method"] == "POST"
    assert request["body"] == case["activity"]


def test_personal_data_are_masked_unless_asked_for(run):
    track = example("track")
    track["properties"] |= {"contact": "other@example.org", "customer": "crm-881", "n": 2**70}
    lines = [track, example("profile"), example("choice")]
    secret = ["crm-881", "jane.doe", "other@", "6D92078A", "89998434", "75001", "gold", "2.13"]
    masked = run(lines)
    assert masked.status == 0
    assert [word for word in secret if word in masked.out + masked.err] == []
    shown = run(lines, "--show-personal-data")
    assert [word for word in secret if word not in shown.out] == []
    first, _, choice = (request["body"] for request in masked.requests)
    assert first["$events"][0]["$properties"]["$items"][0]["$qty"] == 2
    assert first["$events"][0]["$properties"]["n"] == 2**70
    assert first["$unique_key"] == shown.requests[0]["body"]["$unique_key"]
    assert choice["$events"][0]["$properties"]["$processing_id"] == "2048"


def test_what_is_put_names_nobody_unless_asked_for(run):
    bare = example("choice-put") | {"selector": "user_point_bare"}
    named = example("choice") | {"route": "user_choices", "properties": {"by": "crm-881"}}
    lines = [example("profile-put"), example("choice-put"), bare, named]
    secret = ["crm-881", "jane.doe", "female", "gold", "65f7a1e2", "86e0b9e5"]
    masked = run(lines)
    assert masked.status == 0
    assert [word for word in secret if word in masked.out + masked.err] == []
    shown = run(lines, "--show-personal-data")
    assert "jane.doe" not in shown.out  # it is hashed before it is sent
    assert [word for word in secret if word not in shown.out] == ["jane.doe"]
    points = "/v1/datamarts/DATAMART_ID/user_points"
    profile_of = f"{points}/email_hash=***/user_profiles/compartment_id=1700/user_account_id=***"
    assert [(r["method"], r["path"]) for r in masked.requests] == [
        ("PUT", f"{profile_of}?update_strategy=PARTIAL_UPDATE"),
        ("PUT", f"{points}/user_point_id=***/user_choices/processing_id=2048"),
        ("PUT", f"{points}/***/user_choices/processing_id=2048"),
        (
            "PUT",
            f"{points}/compartment_id=1700,user_account_id=***/user_choices/processing_id=2048",
        ),
    ]
    profile, choice, _, said = (request["body"] for request in masked.requests)
    assert profile["gender"] == profile["loyalty"]["tier"] == "***"
    assert profile["$compartment_id"] == "1700"
    assert choice["$choice_acceptance_value"] is False
    assert choice["channel"] == "call centre"
    assert said["by"] == "***"


def test_each_line_that_is_not_sent_is_named_with_its_number_and_reason(run):
    end = run(
        [
            b"{",
            b"",
            example("segment"),
            example("track") | {"event": "$page_view"},
            example("track")
            | {"user": {"accounts": [{"id": "guest"}], "devices": [{"id": "vec:1"}]}},
            b"x" * 1_048_577,
            example("track-smallest"),
        ]
    )
    assert end.status == ExitStatus.FINDINGS
    assert len(end.requests) == 2
    assert end.err.splitlines() == [
        "line 1: rejected: invalid_json: not valid JSON at line 1 column 1",
        (
            "line 3: skipped: segment_not_routed: "
            "type: segment events are no activities (segments.membership imports them)"
        ),
        (
            "line 4: rejected: reserved_event_name: "
            "event: $page_view is computed or deleted by the platform itself"
        ),
        "line 5: note: shared_account",
        (
            "line 6: rejected: too_large: "
            "the value has more than 1048576 bytes (decoding.record_bytes_max)"
        ),
    ]


def test_standard_input_is_read_for_a_dash(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    stdin = SimpleNamespace(buffer=io.BytesIO(json.dumps(example("track-smallest")).encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setenv("RELAY_MAPPING__PAST_MAX_DAYS", "36500")
    with pytest.raises(SystemExit) as caught:
        cli.main(["map", "-"])
    assert caught.value.code == 0
    assert json.loads(capsys.readouterr().out)["body"]["$type"] == "TOUCH"


def test_a_file_that_is_not_there_is_an_input_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        cli.main(["map", "nowhere.ndjson"])
    assert caught.value.code == ExitStatus.INPUT
    assert capsys.readouterr().err == (
        "relay: nowhere.ndjson: No such file or directory (give a file, or - for stdin)\n"
    )


SEGMENT = {
    "type": "segment",
    "id": "m-1",
    "ts": "2026-01-01T00:00:00Z",
    "user": {"accounts": [{"id": "crm-881"}]},
    "action": "add",
    "segment_ids": ["88"],
    "segment_technical_names": ["churn"],
    "properties": {"score": 0.8},
}


def test_a_segment_event_is_shown_as_lines_of_the_import_where_that_is_enabled(run):
    settings = {**SETTINGS, "segments": {"membership": {"enabled": True}}}
    end = run([SEGMENT, {**SEGMENT, "user": {}}], "--show-personal-data", settings=settings)
    assert end.status == ExitStatus.FINDINGS
    line = {
        "operation": "UPDATE",
        "compartment_id": "1000",
        "user_account_id": "crm-881",
        "expiration_duration": 0,
        "data_bag": '{"score":0.8}',
    }
    assert end.requests == [
        {"import": "USER_SEGMENT", "line": {**line, "segment_id": "88"}},
        {"import": "USER_SEGMENT", "line": {**line, "segment_technical_name": "churn"}},
    ]
    assert end.err == "line 2: rejected: no_identifier: user: no usable identifier\n"


def test_nothing_personal_is_shown_of_a_line_unless_asked_for(run):
    settings = {**SETTINGS, "segments": {"membership": {"enabled": True}}}
    end = run([SEGMENT], settings=settings)
    (first, _) = end.requests
    assert first["line"]["user_account_id"] == first["line"]["data_bag"] == "***"
    assert "crm-881" not in end.out


def test_a_line_of_anothers_format_is_told_with_the_settings_for_it(run, tmp_path):
    segment = {"type": "track", "messageId": "m", "userId": "u", "event": "e"}
    end = run([segment, {"type": "track"}, b"{"])
    assert end.status == ExitStatus.FINDINGS
    notes = [line for line in end.err.splitlines() if " note: " in line]
    assert notes == [
        "line 1: note: this looks like segment",
    ]
    settings = end.err.partition("In the settings of relay run:")[2].partition("What that")[0]
    (tmp_path / "found.yaml").write_text(settings, encoding="utf-8")
    assert load(tmp_path / "found.yaml", {}, needs=["sources"]).sources[0].preset == "segment"
    assert "relay map explain FILE --mapping segment" in end.err
