"""Lines that are written quickly are the lines that the slow way writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import InputError
from relay.segments.formats import FileFormat, encoder
from relay.segments.lines import Target, line_writer
from relay.segments.model import Operation, SegmentCommand
from tests.segments.test_model import texts

plain = texts.filter(lambda t: min(t) >= " " and not any(c in t for c in "\x7f\x85\u2028\u2029"))

targets = st.builds(
    Target,
    segment=plain,
    by=st.sampled_from(["segment_id", "segment_technical_name"]),
    identifier=st.sampled_from(["email_hash", "user_agent_id"]),
    data_bag=st.none() | st.just('{"from": "mparticle"}'),
) | st.builds(Target, segment=plain, compartment_id=st.none() | plain)


@given(targets, plain, st.sampled_from(list(Operation)), st.integers(0, 10**6),
       st.sampled_from(list(FileFormat)))  # fmt: skip
def test_a_line_is_what_the_encoder_writes_for_the_command(target, user, operation, minutes, form):
    header, line = line_writer(target, minutes, form)
    columns = SegmentCommand.model_fields
    if form is FileFormat.CSV:
        columns = header.decode().strip().lower().split(",")
    command = SegmentCommand.of(
        (target.identifier, target.compartment_id or "", user),
        (target.by.removeprefix("segment_"), target.segment),
        minutes if operation is Operation.UPDATE else None,
        data_bag=target.data_bag,
    )
    expected = encoder(form, tuple(columns)).line(command)
    assert line(user, operation) == expected


def test_a_csv_has_the_columns_that_are_used_and_no_others():
    header, line = line_writer(Target("7", compartment_id="1000"), 60, FileFormat.CSV)
    assert header == b"OPERATION,COMPARTMENT_ID,USER_ACCOUNT_ID,SEGMENT_ID,EXPIRATION_DURATION\n"
    assert line("a b", Operation.UPDATE) == b"UPDATE,1000,a b,7,60\n"
    assert line("a b", Operation.DELETE) == b"DELETE,1000,a b,7,0\n"


def test_a_user_that_no_csv_can_hold_is_refused():
    _, line = line_writer(Target("7"), 60, FileFormat.CSV)
    with pytest.raises(InputError, match="ndjson"):
        line("a\nb", Operation.UPDATE)
