import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from relay.stream.mapping.unique_key import unique_key

MS = st.integers(0, 10**14 - 1)


def test_the_key_of_an_event_never_changes():
    """Releases, machines and restarts must agree: this value may only change with a new version."""
    key = unique_key("shop", "e-1", 1769851800123)
    assert key == "6a04ed91-fe87-11f0-99c9-2d0785f5c756"


@given(st.text(), st.text(), MS)
def test_a_key_is_a_uuid_of_version_1_that_tells_the_time_of_the_event(source, event_id, ts_ms):
    key = uuid.UUID(unique_key(source, event_id, ts_ms))
    assert key.version == 1
    assert key.variant == uuid.RFC_4122
    assert key.node >> 40 & 1, "the multicast bit says that this is no network card"
    since_1582 = datetime(1970, 1, 1, tzinfo=UTC) - datetime(1582, 10, 15, tzinfo=UTC)
    assert key.time // 10_000 - since_1582.days * 86_400_000 == ts_ms


@given(st.tuples(st.text(), st.text(), MS), st.tuples(st.text(), st.text(), MS))
def test_keys_are_equal_exactly_when_source_id_and_time_are(one, other):
    assert (unique_key(*one) == unique_key(*other)) == (one == other)


def test_source_and_id_are_not_confused():
    assert unique_key("a", "b:c", 0) != unique_key("a:b", "c", 0)
    assert unique_key("", "x", 0) != unique_key("x", "", 0)
