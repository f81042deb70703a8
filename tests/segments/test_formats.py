"""Import files: written, read back, cut into parts; and what is wrong with a file, by place."""

import csv
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.disk import LocalStateError
from relay.errors import InputError
from relay.segments.formats import COLUMNS, FileFormat, encoder, read_commands
from relay.segments.model import SegmentCommand
from relay.segments.parts import write_parts
from relay.segments.text_file import LINE_BYTES_MAX
from tests.segments.test_model import commands, texts
from tests.support.synced import watch_syncs

LINE = {
    "operation": "UPDATE",
    "expiration_duration": 60,
    "user_account_id": "u1",
    "segment_id": "7",
}
plain = texts.filter(
    lambda text: not any(c in text for c in "\x85\u2028\u2029\x7f") and min(text) >= " "
)


def text_of(*lines):
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def read(path, form):
    return [command for _, command in read_commands(path, form)]


@given(st.lists(commands(text=plain), max_size=8), st.sampled_from(list(FileFormat)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_reads_back_as_the_same_commands(tmp_path, written, form):
    codec = encoder(form)
    path = tmp_path / f"file.{form.value}"
    path.write_bytes(codec.header + b"".join(codec.line(command) for command in written))
    found = read(path, form)
    if form is FileFormat.NDJSON:
        assert found == written
    else:  # white space in a data bag may change; its JSON may not
        assert [_normal(command) for command in found] == [_normal(command) for command in written]


def _normal(command):
    fields = command.model_dump()
    if fields["data_bag"] is not None:
        fields["data_bag"] = json.loads(fields["data_bag"])
    return fields


def test_a_csv_has_the_vendors_field_names_in_upper_case_and_one_row_a_line(tmp_path):
    codec = encoder(
        FileFormat.CSV, ("operation", "user_account_id", "segment_id", "expiration_duration")
    )
    command = SegmentCommand.model_validate_json(json.dumps(LINE | {"user_account_id": 'a "b", c'}))
    assert codec.header == b"OPERATION,USER_ACCOUNT_ID,SEGMENT_ID,EXPIRATION_DURATION\n"
    assert codec.line(command) == b'UPDATE,"a ""b"", c",7,60\n'


def test_a_csv_with_lower_case_names_and_a_mark_reads_too(tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(
        b"\xef\xbb\xbfoperation,segment_ids,email_hash,expiration_duration\r\n"
        b'DELETE,"[""1"",""2""]",ab12,0\r\n\r\n'
    )
    [command] = read(path, FileFormat.CSV)
    assert command.segments == (("id", "1"), ("id", "2"))


def test_an_identifier_with_a_line_break_does_not_go_into_a_csv():
    command = SegmentCommand.model_validate_json(json.dumps(LINE | {"user_account_id": "a\nb"}))
    with pytest.raises(InputError, match="ndjson"):
        encoder(FileFormat.CSV).line(command)
    assert encoder(FileFormat.NDJSON).line(command).count(b"\n") == 1


def test_a_field_without_a_column_is_not_dropped_in_silence():
    command = SegmentCommand.model_validate_json(json.dumps(LINE | {"data_bag": "{}"}))
    with pytest.raises(InputError, match="data_bag"):
        encoder(FileFormat.CSV, COLUMNS[:-1]).line(command)


def test_a_large_id_keeps_every_digit(tmp_path):
    for form in FileFormat:
        codec = encoder(form)
        big = SegmentCommand.model_validate_json(
            json.dumps(LINE | {"user_account_id": "-7636538281262557111"})
        )
        path = tmp_path / f"big.{form.value}"
        path.write_bytes(codec.header + codec.line(big))
        assert read(path, form)[0].user_account_id == "-7636538281262557111"


@pytest.mark.parametrize(
    ("form", "content", "says"),
    [
        ("ndjson", text_of(LINE, LINE | {"operation": "X"}), "in.file:2: operation: "),
        ("ndjson", text_of(LINE)[:-10], "in.file:1: the line is not one whole command"),
        ("ndjson", b"[\n" + text_of(LINE) + b"]\n", "in.file:1: "),
        ("ndjson", text_of(LINE) + b'{"operation":"\xe9"}\n', "in.file:2: "),
        ("ndjson", b" " * (LINE_BYTES_MAX + 1), "in.file:1: the line is longer"),
        ("csv", b"OPERATION,NAME\nUPDATE,x\n", "in.file:1: column 2 is no field"),
        ("csv", b"OPERATION,OPERATION\n", "in.file:1: column 2: OPERATION stands twice"),
        ("csv", b"OPERATION,SEGMENT_ID\nUPDATE\n", "in.file:2: has 1 columns where the first"),
        (
            "csv",
            b"OPERATION,EMAIL_HASH,SEGMENT_ID,EXPIRATION_DURATION\nUPDATE,ab,7,60\nUPDATE,ab,7,x\n",
            "in.file:3: expiration_duration: ",
        ),
        (
            "csv",
            b"OPERATION,EMAIL_HASH,SEGMENT_IDS,EXPIRATION_DURATION\nUPDATE,ab,7;8,60\n",
            "in.file:2: SEGMENT_IDS: should be a JSON list",
        ),
        ("csv", b'OPERATION,SEGMENT_ID\nUPDATE,"7\n', "in.file:2: is not valid CSV"),
        (
            "csv",
            b"OPERATION,SEGMENT_ID\nUPDATE,\xe9\n",
            "in.file:2: byte 8 of the line is not UTF-8",
        ),
        ("csv", "OPERATION,SEGMENT_ID\n".encode("utf-16"), "in.file: is UTF-16"),
        (
            "csv",
            gzip.compress(b"OPERATION\n" * 1000, mtime=0)[:30],
            "in.file: the compressed file is cut off",
        ),
    ],
)
def test_a_bad_file_is_refused_with_file_line_and_field(tmp_path, form, content, says):
    path = tmp_path / "in.file"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path, FileFormat(form))
    assert says in str(caught.value)
    assert "u1" not in str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none.csv", FileFormat.CSV)


def test_a_compressed_file_reads_like_the_plain_one(tmp_path):
    path = tmp_path / "in.ndjson"
    path.write_bytes(gzip.compress(text_of(LINE, LINE), mtime=0))
    assert len(read(path, FileFormat.NDJSON)) == 2


def test_the_format_is_told_by_name_or_by_mime_type_and_never_guessed(tmp_path):
    assert FileFormat.of_file(tmp_path / "a.CSV") is FileFormat.CSV
    assert FileFormat.of_file(tmp_path / "a.ndjson") is FileFormat.NDJSON
    with pytest.raises(InputError, match="--format"):
        FileFormat.of_file(tmp_path / "a.txt")
    assert FileFormat.of_mime_type("TEXT_CSV") is FileFormat.CSV
    assert FileFormat.of_mime_type("application/x-ndjson") is FileFormat.NDJSON
    with pytest.raises(InputError, match="APPLICATION_X_NDJSON or TEXT_CSV"):
        FileFormat.of_mime_type("APPLICATION_JSON")


@given(
    st.lists(st.binary(min_size=1, max_size=20).map(lambda b: b.replace(b"\n", b".") + b"\n")),
    st.sampled_from([b"", b"HEAD\n"]),
    st.integers(26, 80),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parts_hold_every_line_once_in_order_whole_and_within_the_limit(
    tmp_path, lines, header, bytes_max
):
    parts = list(write_parts(lines, tmp_path, "ndjson", header=header, bytes_max=bytes_max))
    bodies = [(tmp_path / part.file).read_bytes() for part in parts]
    assert b"".join(body.removeprefix(header) for body in bodies) == b"".join(lines)
    assert all(body.startswith(header) and body.endswith(b"\n") for body in bodies)
    assert [part.size_bytes for part in parts] == [len(body) for body in bodies]
    assert all(part.size_bytes <= bytes_max and part.lines > 0 for part in parts)
    assert sum(part.lines for part in parts) == len(lines)


def test_a_line_larger_than_a_part_is_refused_and_not_cut(tmp_path):
    with pytest.raises(InputError, match="larger than a part of 10 bytes"):
        list(write_parts([b"x" * 10 + b"\n"], tmp_path, "ndjson", bytes_max=10))


def test_a_full_disk_is_a_clear_error_with_a_status_of_its_own(tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "part-0001.csv").symlink_to("/dev/full")
    with pytest.raises(LocalStateError, match="No space left on device"):
        list(write_parts([b"x\n"] * 10_000, full, "csv"))


def test_csv_lists_are_json_so_that_any_csv_reader_keeps_them_whole():
    command = SegmentCommand.model_validate_json(
        json.dumps(
            {k: v for k, v in LINE.items() if k != "segment_id"} | {"segment_ids": ["a,b", "c"]}
        )
    )
    row = next(csv.reader([encoder(FileFormat.CSV).line(command).decode()]))
    assert json.loads(row[COLUMNS.index("segment_ids")]) == ["a,b", "c"]


def test_a_part_is_on_the_disk_before_it_is_named(tmp_path, monkeypatch):
    """The ledger remembers its size and its hash: after a power cut the file must have them."""
    syncs = watch_syncs(monkeypatch)
    parts = write_parts([b"x\n"] * 3, tmp_path, "ndjson", bytes_max=4)
    for number, part in enumerate(parts, start=1):
        assert len(syncs) == number
        assert syncs[-1].name == part.file
        assert syncs[-1].content == (tmp_path / part.file).read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        # The vendor's own sample of an execution.
        """{
        "operation": "UPDATE",
        "expiration_duration": 0,
        "compartment_id": "1",
        "user_account_id": "a",
        "segment_id": "7"
      }
""",
        '[{"operation": "UPDATE"}]\n',
        '{"operation": "DELETE", "email_hash": "a", "segment_id": "7"},\n',
    ],
)
def test_commands_that_are_not_one_a_line_are_told_so(tmp_path, content):
    path = tmp_path / "commands.ndjson"
    path.write_text(content)
    with pytest.raises(InputError, match=r"commands.ndjson:1: .* one whole command") as caught:
        list(read_commands(path, FileFormat.NDJSON))
    assert caught.value.hint.startswith("one JSON object a line")


def test_a_compressed_file_tells_its_format_by_its_name_too():
    assert FileFormat.of_file(Path("x.ndjson.gz")) is FileFormat.NDJSON
    assert FileFormat.of_file(Path("X.CSV.GZ")) is FileFormat.CSV
