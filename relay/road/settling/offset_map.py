"""What is finished beyond the committed offset ↔ the metadata string of a Kafka commit.

A commit says "everything below `offset` is finished". The map adds which offsets at and above it
are still open, up to `end`; all others below `end` are finished and are not sent again after a
restart. It travels in the commit's metadata (Kafka keeps up to 4096 bytes), as text:

    r1 <crc32 of the rest, 8 hex> <base85 payload>

`r` is the format's mark and `1` its version. The payload starts with the encoding's number and is
written in every encoding that exists; the smallest wins. The number of encodings may grow; a
reader that does not know one ignores the map, which costs repeats and never loses anything.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MARK = "r1"
METADATA_BYTES_MAX = 4096  # Kafka's default for `offset.metadata.max.bytes`

_GAPS, _BITS, _DEFLATED_BITS = 1, 2, 3
_OPEN_MAX = 1_000_000
"""A map that claims more open offsets than any sender has is not one of ours."""


@dataclass(frozen=True, slots=True)
class OffsetMap:
    """The frontier of a partition and what is known beyond it: one immutable value per commit.

    `open_offsets` is ascending, starts at `offset` when not empty, and lies below `end`.
    """

    offset: int
    end: int
    open_offsets: tuple[int, ...] = ()

    def finished(self, offset: int) -> bool:
        """Whether a record at `offset` has met its fate already."""
        return offset < self.offset or (offset < self.end and offset not in self.open_offsets)


@dataclass(frozen=True, slots=True)
class EncodedMap:
    """A map as commit metadata. `end` is how far it reaches: less than asked when it had to fit."""

    metadata: str
    end: int
    truncated: bool


def encode(offset_map: OffsetMap, bytes_max: int = METADATA_BYTES_MAX) -> EncodedMap:
    """Write the map in the smallest encoding, giving up its far end as far as it must to fit.

    A truncated map is a correct map of a shorter range: what lies beyond is sent again.
    """
    if offset_map.end <= offset_map.offset or not offset_map.open_offsets:
        return EncodedMap("", offset_map.end, truncated=False)
    opened = offset_map.open_offsets
    text = _text(offset_map.offset, offset_map.end, opened)
    if len(text) <= bytes_max:
        return EncodedMap(text, offset_map.end, truncated=False)
    # Too long: find by halving how many of the open offsets fit. The range then ends before the
    # first that does not, and everything beyond counts as not finished.
    best = EncodedMap("", offset_map.offset, truncated=True)
    low, high = 0, len(opened) - 1
    while low <= high:
        kept = (low + high) // 2
        text = _text(offset_map.offset, opened[kept], opened[:kept])
        if len(text) <= bytes_max:
            best = EncodedMap(text, opened[kept], truncated=True)
            low = kept + 1
        else:
            high = kept - 1
    return best


def decode(offset: int, metadata: str) -> OffsetMap | None:
    """Read a map back. None when the text is not a map of ours, damaged, or of a newer version."""
    # Anything that is not exactly ours is None, which costs repeats; a wrong map would lose
    # records. The checksum covers the offset too, so a map beside another commit is not believed.
    mark, _, rest = metadata.partition(" ")
    checksum, _, text = rest.partition(" ")
    if mark != MARK or not text.isascii() or f"{_checksum(offset, text):08x}" != checksum:
        return None
    try:
        payload = base64.b85decode(text)
        numbers = _read_varints(payload[1:])
        length = next(numbers)
        opened = tuple(offset + gap for gap in _decode_open(payload, length))
    except (ValueError, StopIteration, IndexError, binascii.Error, zlib.error):
        return None
    return OffsetMap(offset, offset + length, opened)


def _text(offset: int, end: int, opened: Sequence[int]) -> str:
    gaps = [position - offset for position in opened]
    payload = min((write(end - offset, gaps) for write in (_as_gaps, _as_bits)), key=len)
    text = base64.b85encode(payload).decode("ascii")
    return f"{MARK} {_checksum(offset, text):08x} {text}"


def _checksum(offset: int, text: str) -> int:
    # The offset is part of it: a map copied beside another offset would skip what was never sent.
    return zlib.crc32(f"{offset} {text}".encode("ascii"))


def _as_gaps(length: int, opened: Iterable[int]) -> bytes:
    """Runs of open offsets: how many finished before it, how long it is. Good when few are open."""
    numbers = [length]
    at = 0
    for start, stop in _runs(opened):
        numbers += [start - at, stop - start]
        at = stop
    return bytes([_GAPS]) + _varints(numbers)


def _as_bits(length: int, opened: Iterable[int]) -> bytes:
    """One bit per offset, deflated where that helps. Good when open and finished alternate."""
    bits = bytearray((length + 7) // 8)
    for position in opened:
        bits[position >> 3] |= 1 << (position & 7)
    head = _varints([length])
    deflated = zlib.compress(bytes(bits), 6)
    if len(deflated) < len(bits):
        return bytes([_DEFLATED_BITS]) + head + deflated
    return bytes([_BITS]) + head + bytes(bits)


def _decode_open(payload: bytes, length: int) -> Iterator[int]:
    encoding = payload[0]
    if encoding == _GAPS:
        yield from _open_from_gaps(payload, length)
        return
    if encoding not in (_BITS, _DEFLATED_BITS):
        raise ValueError
    bits = payload[1 + len(_varints([length])) :]
    size = (length + 7) // 8
    if encoding == _DEFLATED_BITS:
        inflate = zlib.decompressobj()
        bits = inflate.decompress(bits, size + 1)
    if len(bits) != size:
        raise ValueError
    for index, byte in enumerate(bits):
        for bit in range(8):
            if byte >> bit & 1:
                yield index * 8 + bit


def _open_from_gaps(payload: bytes, length: int) -> Iterator[int]:
    numbers = _read_varints(payload[1:])
    next(numbers)
    at = 0
    for finished in numbers:
        start = at + finished
        at = start + next(numbers)
        if at > length or at - start > _OPEN_MAX:
            raise ValueError
        yield from range(start, at)


def _runs(opened: Iterable[int]) -> Iterator[tuple[int, int]]:
    start = stop = -1
    for position in opened:
        if position == stop:
            stop += 1
            continue
        if stop > start:
            yield start, stop
        start, stop = position, position + 1
    if stop > start:
        yield start, stop


def _varints(numbers: Iterable[int]) -> bytes:
    out = bytearray()
    for number in numbers:
        rest = number
        while rest >> 7:
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        out.append(rest)
    return bytes(out)


def _read_varints(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield number
            number = shift = 0
    if shift:
        raise ValueError
