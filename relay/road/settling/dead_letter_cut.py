"""A dead letter that is larger than its topic takes → the same with less of its record. Pure.

How much fits is not known: a topic limits what is left after compression, and its limit may be
hidden from us. So each refusal is answered by less, down to an envelope that always fits.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from relay.model import DeadLetter, Header
from relay.road.settling.dead_letter import Cut, envelope

VALUE_BYTES_MAX = (524_288, 65_536, 4_096, 0)
"""What is kept of the value, one step after the other. The last one also lets go of the
original's headers and, where it is long, of the key."""
KEY_BYTES_MAX = 1_024  # an id fits; a key beyond that is a document


@dataclass(frozen=True, slots=True)
class Content:
    """What is written of a dead letter. Its `repr` shows none of it."""

    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Sequence[Header] = field(repr=False)


def whole(letter: DeadLetter, mapping_version: str) -> Content:
    """Everything: the record as it was, and the envelope."""
    record = letter.record
    return Content(record.key, record.value, envelope(letter, mapping_version))


def cut(letter: DeadLetter, mapping_version: str, step: int) -> Content:
    """What is left of it at a step, with the size and the hash of the value that it had."""
    record = letter.record
    value = record.value or b""
    most = VALUE_BYTES_MAX[step]
    said = Cut(len(value), hashlib.sha256(value).hexdigest(), value_only=most > 0)
    headers = envelope(letter, mapping_version, said)
    if most:
        return Content(record.key, value[:most], headers)
    key = record.key if record.key is None or len(record.key) <= KEY_BYTES_MAX else None
    return Content(key, b"", headers)


def next_step(letter: DeadLetter, step: int | None) -> int | None:
    """The step after `step` (None: whole) that is smaller; None when there is nothing to let go.

    Steps that would change nothing are left out: where key or headers are what is large, the
    value is not cut for it until the last step.
    """
    size = len(letter.record.value or b"")
    following = range(0 if step is None else step + 1, len(VALUE_BYTES_MAX))
    last = len(VALUE_BYTES_MAX) - 1
    return next((n for n in following if VALUE_BYTES_MAX[n] < size or n == last), None)
