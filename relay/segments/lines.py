"""A user and what happens to it → one line of an import file, quickly.

A sync writes a million lines that differ in two places. So a real command is encoded once for each
operation, with a stand-in for the user, and the user is put in its place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from relay.segments.formats import FileFormat, csv_line, encoder
from relay.segments.model import Operation, SegmentCommand

_USER = "relay:the-user-stands-here"

LineOf = Callable[[str, Operation], bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """The segment that a sync fills, and how its users are identified there."""

    segment: str
    by: str = "segment_id"
    """`segment_id` or `segment_technical_name`."""
    identifier: str = "user_account_id"
    compartment_id: str | None = None
    data_bag: str | None = field(default=None, repr=False)


def line_writer(target: Target, minutes: int, form: FileFormat) -> tuple[bytes, LineOf]:
    """What opens each file, and the function that writes a line."""
    user = (target.identifier, target.compartment_id or "", _USER)
    segment = (target.by.removeprefix("segment_"), target.segment)
    samples = {
        operation: SegmentCommand.of(
            user, segment, minutes if operation is Operation.UPDATE else None,
            data_bag=target.data_bag,
        )
        for operation in Operation
    }  # fmt: skip
    columns = tuple(
        name
        for name in SegmentCommand.model_fields
        if any(getattr(sample, name) is not None for sample in samples.values())
    )
    codec = encoder(form, columns)
    quote = _csv_cell if form is FileFormat.CSV else orjson.dumps
    frames = {
        operation: codec.line(sample).split(quote(_USER)) for operation, sample in samples.items()
    }

    def line(user: str, operation: Operation) -> bytes:
        head, tail = frames[operation]
        return b"%b%b%b" % (head, quote(user), tail)

    return codec.header, line


def _csv_cell(text: str) -> bytes:
    return csv_line([text]).removesuffix(b"\n")
