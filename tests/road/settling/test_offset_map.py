from hypothesis import given
from hypothesis import strategies as st

from relay.road.settling.offset_map import METADATA_BYTES_MAX, OffsetMap, decode, encode


@st.composite
def maps(draw):
    offset = draw(st.integers(0, 2**40))
    opened = draw(st.sets(st.integers(0, 3000), max_size=400))
    opened.add(0)
    length = max(opened) + 1 + draw(st.integers(0, 3000))
    return OffsetMap(offset, offset + length, tuple(sorted(offset + gap for gap in opened)))


@given(maps())
def test_a_map_that_fits_comes_back_as_it_was(offset_map):
    encoded = encode(offset_map)
    assert len(encoded.metadata) <= METADATA_BYTES_MAX
    if not encoded.truncated:
        assert decode(offset_map.offset, encoded.metadata) == offset_map


@given(maps(), st.integers(20, 400))
def test_a_map_that_does_not_fit_is_right_as_far_as_it_reaches(offset_map, bytes_max):
    encoded = encode(offset_map, bytes_max)
    assert len(encoded.metadata) <= bytes_max
    read = decode(offset_map.offset, encoded.metadata)
    if read is None:
        assert encoded.metadata == ""
        assert encoded.truncated
        return
    assert read.end == encoded.end <= offset_map.end
    assert read.open_offsets == tuple(o for o in offset_map.open_offsets if o < read.end)


@given(maps(), st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_map_is_never_believed(offset_map, at, change):
    metadata = encode(offset_map).metadata.encode()
    at %= len(metadata)
    damaged = metadata[:at] + bytes([(metadata[at] + change) % 128]) + metadata[at + 1 :]
    if damaged != metadata:
        assert decode(offset_map.offset, damaged.decode("latin-1")) is None


@given(maps())
def test_a_map_beside_another_offset_is_never_believed(offset_map):
    assert decode(offset_map.offset + 1, encode(offset_map).metadata) is None


@given(st.text(max_size=200))
def test_foreign_metadata_is_ignored(text):
    assert decode(7, text) is None


def test_nothing_open_needs_no_metadata():
    assert encode(OffsetMap(10, 20)).metadata == ""


def test_one_stuck_record_before_a_million_costs_a_few_bytes():
    encoded = encode(OffsetMap(5, 1_000_005, (5,)))
    assert len(encoded.metadata) < 30
    read = decode(5, encoded.metadata)
    assert not read.finished(5)
    assert read.finished(4)
    assert read.finished(6)
    assert read.finished(1_000_004)
    assert not read.finished(1_000_005)


def test_the_smaller_of_the_encodings_is_taken():
    sparse = encode(OffsetMap(0, 100_000, tuple(range(0, 100_000, 10_000))))
    alternating = encode(OffsetMap(0, 20_000, tuple(range(0, 20_000, 2))))
    assert len(sparse.metadata) < 60
    assert not alternating.truncated
    assert len(alternating.metadata) < 200


def test_a_short_range_of_noise_is_kept_as_bare_bits():
    opened = (0, 1, 4, 6, 9, 10, 12, 17, 18, 21, 23, 24, 28, 30, 33, 39, 41, 44, 45, 47)
    encoded = encode(OffsetMap(0, 48, opened))
    assert decode(0, encoded.metadata).open_offsets == opened
