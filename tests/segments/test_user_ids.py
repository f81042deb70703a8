"""The users of an export: whatever its columns, exactly as they stand there."""

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.errors import InputError
from relay.segments.user_ids import IdPolicy, IdType, read_users
from relay.stream.mapping.addresses import EmailHashing, EmailPolicy

BIG = "-7636538281262557111"


def users(tmp_path, text, **policy):
    path = tmp_path / "export.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_users(path, IdPolicy(**{"id_type": IdType.MPID, **policy})))


@pytest.mark.parametrize("column", ["mpid", "MPID", 1])
def test_the_column_is_told_by_name_or_by_place(tmp_path, column):
    assert users(tmp_path, f"name,mpid\nx,{BIG}\n", column=column) == [BIG]


def test_a_name_that_fits_exactly_is_preferred_to_one_that_differs_in_case(tmp_path):
    assert users(tmp_path, f"MPID,mpid\n7,{BIG}\n", column="mpid") == [BIG]


def test_a_file_without_a_line_of_names_is_read_from_its_first_line(tmp_path):
    assert users(tmp_path, "1,x\n2,y\n", header=False) == ["1", "2"]


def test_a_mark_quoted_line_breaks_and_line_ends_of_windows_change_nothing(tmp_path):
    text = b'\xef\xbb\xbfmpid,note\r\n1,"two\r\nlines, and ""quotes"""\r\n\r\n2,\r\n'
    assert users(tmp_path, text, column="mpid") == ["1", "2"]


@pytest.mark.parametrize("value", [str(2**63 - 1), str(-(2**63)), str(2**53 + 1), "1"])
def test_an_id_of_64_bits_is_kept_to_the_digit(tmp_path, value):
    assert users(tmp_path, f"mpid\n{value}\n") == [value]


# An id that names somebody: around anything else but what templates are made of.
odd = st.text(
    st.characters(
        exclude_categories=["C", "Z"], exclude_characters="%{}$<>[]", include_characters=" "
    ),
    max_size=40,
)
somebodys = odd.map(lambda text: f"customer-1971{text}-of-ours") | st.sampled_from(
    ["a b", '"q"', "x,y"]
)


@given(st.lists(somebodys, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_customers_id_may_hold_spaces_quotes_and_anything_else(tmp_path, ids):
    text = io.StringIO()
    csv.writer(text).writerows([["id", "n"], *([id_, "x"] for id_ in ids)])
    assert users(tmp_path, text.getvalue(), id_type=IdType.CUSTOMER_ID) == ids


@pytest.mark.parametrize(
    "nobody",
    [
        "",
        " ",
        "null",
        "0",
        "00000000-0000-0000-0000-000000000000",
        "{{id}}",
        "d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_a_row_that_names_nobody_is_counted_and_not_sent(tmp_path, nobody):
    assert users(tmp_path, f"id,x\n{nobody},1\na,1\n", id_type=IdType.CUSTOMER_ID) == [None, "a"]


def test_addresses_become_the_hashes_of_the_datamart(tmp_path):
    text = "email\n Jane@Example.com \n"
    [sha256] = users(tmp_path, text, id_type=IdType.EMAIL)
    assert sha256 == "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"
    policy = EmailPolicy(hash=EmailHashing.MD5, normalise=False)
    [md5] = users(tmp_path, "email\nJane@Example.com\n", id_type=IdType.EMAIL, email=policy)
    assert len(md5) == 32
    assert users(tmp_path, f"h\n{sha256.upper()}\n", id_type=IdType.EMAIL_HASH) == [sha256]


@pytest.mark.parametrize(
    ("text", "policy", "says"),
    [
        ("name\nx\n", {"column": "mpid"}, "export.csv:1: has no column named mpid among its 1"),
        ("mpid,mpid\n1,2\n", {"column": "mpid"}, "export.csv:1: has 2 columns named mpid"),
        ("mpid\n1\n", {"column": 3}, "export.csv:1: has 1 columns, none at 3"),
        ("1\n", {"column": 3, "header": False}, "export.csv:1: has 1 columns, none at 3"),
        ("mpid\n1\n", {"column": "mpid", "header": False}, "told by name, but the file has no"),
        (f"{BIG}\n1\n", {}, "set header to false"),
        ("jane@example.com\n", {"id_type": IdType.EMAIL}, "set header to false"),
        ("", {}, "export.csv: is empty"),
        ("mpid,x\n1,2\n3\n", {}, "export.csv:3: has 1 columns where the first line has 2"),
        ("mpid\n1\nabc\n", {}, "export.csv:3: column 1 holds no mpid"),
        ("mpid\n1.2E+18\n", {}, "a spreadsheet has rounded it"),
        ("mpid\n 12\n", {}, "there is white space around it"),
        ("mpid\n9223372036854775808\n", {}, "export.csv:2: column 1 holds no mpid"),
        ("email\njane example.com\n", {"id_type": IdType.EMAIL}, "column 1 holds no email"),
        ("h\nabc\n", {"id_type": IdType.EMAIL_HASH}, "column 1 holds no email_hash"),
        ("mpid\n1\n".encode("utf-16"), {}, "is UTF-16"),
        (b"mpid,n\n1,\xe9\n", {}, "export.csv:2: byte 3 of the line is not UTF-8"),
    ],
)
def test_a_bad_export_is_refused_with_file_line_and_column(tmp_path, text, policy, says):
    with pytest.raises(InputError) as caught:
        users(tmp_path, text, **policy)
    assert says in str(caught.value)
    for personal in (BIG, "abc", "jane", "9223372036854775808"):
        assert personal not in str(caught.value)


def test_each_kind_of_id_has_its_field_in_a_command():
    assert {kind: kind.identifier for kind in IdType} == {
        IdType.MPID: "user_account_id",
        IdType.CUSTOMER_ID: "user_account_id",
        IdType.OTHER: "user_account_id",
        IdType.EMAIL: "email_hash",
        IdType.EMAIL_HASH: "email_hash",
        IdType.USER_AGENT_ID: "user_agent_id",
    }


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("customer_id;email\na1;jane@example.com\n", "semicolons"),
        ("customer_id\temail\na1\tjane@example.com\n", "tabs"),
        ("customer_id|email\na1|jane@example.com\n", "vertical bars"),
        ("customer_id\na1;jane@example.com\n", "semicolons"),
        ("sep=,\ncustomer_id\na1\n", "tells a spreadsheet its separator"),
        ("<!DOCTYPE html>\n<html>\n<body>x</body>\n", "is a page"),
        ('<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>\n', "is a page"),
        ('{"error": "denied"}\n', "is JSON"),
    ],
)
@pytest.mark.parametrize("id_type", [IdType.CUSTOMER_ID, IdType.EMAIL, IdType.OTHER])
def test_what_is_no_csv_with_commas_is_refused_by_place_too(tmp_path, content, says, id_type):
    path = tmp_path / "export.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=says) as caught:
        list(read_users(path, IdPolicy(id_type, 0)))
    assert "jane" not in str(caught.value)


def test_an_id_may_hold_a_separator_where_it_is_quoted_or_there_are_columns(tmp_path):
    path = tmp_path / "export.csv"
    path.write_text('id\n"a;1"\n')
    assert list(read_users(path, IdPolicy(IdType.OTHER, 0))) == ["a;1"]
    path.write_text("id,n\na;1,x\n")
    assert list(read_users(path, IdPolicy(IdType.OTHER, 0))) == ["a;1"]


@pytest.mark.parametrize("cell", [" a1", "a1 ", "a\x001", "a\x1f1", '"a\n1"'])
@pytest.mark.parametrize("id_type", [IdType.CUSTOMER_ID, IdType.USER_AGENT_ID, IdType.OTHER])
def test_an_id_with_blanks_around_or_control_characters_is_refused(tmp_path, cell, id_type):
    path = tmp_path / "export.csv"
    path.write_text(f"id,n\n{cell},x\n")
    with pytest.raises(InputError, match=r"export.csv:2: column 1 holds no"):
        list(read_users(path, IdPolicy(id_type, 0)))


def test_a_file_that_may_be_cut_off_within_an_id_is_refused(tmp_path):
    path = tmp_path / "export.csv"
    policy = IdPolicy(IdType.MPID, 0)
    path.write_text("mpid\n1234\n567")
    with pytest.raises(InputError, match="export.csv:3: the last line has no line end"):  # noqa: RUF043
        list(read_users(path, policy))
    path.write_text("mpid,n\n1234,x\n567,")  # the id is whole, whatever comes after it
    assert list(read_users(path, policy)) == ["1234", "567"]
    path.write_text("mpid\n1234\n567")
    assert list(read_users(path, replace(policy, last_line_end=False))) == ["1234", "567"]
