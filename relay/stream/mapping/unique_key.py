"""The `$unique_key` of an activity: the same event gives the same key, now and after any restart.

The platform wants the shape of a UUID of version 1. That is a time, 14 bits of "clock sequence"
and 48 bits of "node": the time is the event's, everything else comes from a hash of the event's
id and its source. Inside the millisecond the hash picks one of the 10,000 ticks, too.
"""

import hashlib

# From 15 October 1582, where UUID time begins, to 1970; in ticks of 100 ns.
_UUID_EPOCH_TICKS = 0x01B21DD213814000
_TICKS_PER_MS = 10_000
# Set in the node's first byte when it is no network card's address (RFC 9562, section 6.10).
_NO_CARD = 0x0100_0000_0000


def unique_key(source: str, event_id: str, ts_ms: int) -> str:
    """The key of the event `event_id` of `source` at `ts_ms`."""
    digest = hashlib.blake2b(
        b"%d:%b:%b" % (len(source), source.encode(), event_id.encode()), digest_size=10
    ).digest()
    number = int.from_bytes(digest)
    node = number & 0xFFFF_FFFF_FFFF | _NO_CARD
    clock = number >> 48 & 0x3FFF
    ticks = ts_ms * _TICKS_PER_MS + (number >> 62) % _TICKS_PER_MS + _UUID_EPOCH_TICKS
    ticks &= 0x0FFF_FFFF_FFFF_FFFF
    # One call of `%` takes a third less than five formatted fields, and every event has a key.
    return "%08x-%04x-1%03x-%04x-%012x" % (  # noqa: UP031
        ticks & 0xFFFF_FFFF,
        ticks >> 32 & 0xFFFF,
        ticks >> 48,
        clock | 0x8000,
        node,
    )
