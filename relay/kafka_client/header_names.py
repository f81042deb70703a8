"""Names of headers that are not UTF-8: read, kept and written back byte for byte.

Kafka's protocol says that names are UTF-8. Brokers do not check it, and some producers write
Latin-1. aiokafka then raises at that record for ever. Here such a batch is parsed a second time, in
Python, and bytes that are no UTF-8 become lone surrogates (PEP 383). `BatchOfAnyNames` writes them
as the bytes that they were.
"""

# ruff: noqa: SLF001 - the parsers of aiokafka 0.14 offer no other way

import struct
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record import default_records
from aiokafka.record.memory_records import MemoryRecords

from relay.model import Header

_BATCH_BYTES_MAX = 104_857_600
_ZSTD = 4
"""The codec's number in Kafka's protocol."""


def accept_any_names() -> None:
    """Make every consumer of this process read such names. Calling it again changes nothing."""
    fetcher.MemoryRecords = _Batches
    fetcher.PartitionRecords = _PartitionRecords


def all_utf_8(headers: tuple[Header, ...]) -> bool:
    """Whether aiokafka's own builder can write these names."""
    return not any("\ud800" <= char <= "\udfff" for name, _ in headers for char in name)


def printable(name: str) -> str:
    """A name for people and for JSON: bytes that are no UTF-8 become escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class BatchOfAnyNames(BatchBuilder):  # type: ignore[misc] # aiokafka is untyped
    """A batch for `AIOKafkaProducer.send_batch`, built by the builder in Python."""

    def __init__(self) -> None:
        super().__init__(_BATCH_BYTES_MAX, _ZSTD)
        # The compiled builder encodes names itself; the one in Python asks the name.
        self._builder = default_records._DefaultRecordBatchBuilderPy(
            magic=2,
            compression_type=_ZSTD,
            is_transactional=0,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=0,
            batch_size=_BATCH_BYTES_MAX,
        )

    def add(self, key: bytes | None, value: bytes | None, headers: tuple[Header, ...]) -> None:
        """Append one record."""
        names = [(_Name(name), content) for name, content in headers]
        self.append(timestamp=None, key=key, value=value, headers=names)

    def _set_producer_state(self, producer_id: int, epoch: int, sequence: int) -> None:
        # The original insists on the compiled builder.
        self._builder.set_producer_state(producer_id, epoch, sequence)


class _Name(str):
    __slots__ = ()

    def encode(self, encoding: str = "utf-8", _errors: str = "strict") -> bytes:
        return super().encode(encoding, "surrogateescape")


class _Batches:
    """aiokafka's `MemoryRecords`, which can give the batch that it gave last once more."""

    _LENGTH = struct.Struct(">i")
    _LENGTH_AT = 8
    _OVERHEAD = 12
    """Base offset and length, which the length does not count."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parser = MemoryRecords(data)
        self._begin = self._end = 0
        self._once_more: Any = None

    def size_in_bytes(self) -> int:
        return len(self._data)

    def has_next(self) -> bool:
        return self._once_more is not None or self._parser.has_next()

    def next_batch(self) -> Any:
        if self._once_more is not None:
            batch, self._once_more = self._once_more, None
            return batch
        batch = self._parser.next_batch()
        self._begin = self._end
        (length,) = self._LENGTH.unpack_from(self._data, self._begin + self._LENGTH_AT)
        self._end += self._OVERHEAD + length
        return batch

    def once_more(self) -> None:
        """Give the last batch again, read by the parser that takes any name."""
        self._once_more = _BatchInPython(self._data[self._begin : self._end])


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc] # aiokafka is untyped
    """aiokafka's iterator over fetched records, which goes on at a name that is not UTF-8."""

    _records_iterator: Any

    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except StopIteration:
            self._records_iterator = None  # as the original does
            raise
        except UnicodeDecodeError:
            pass
        except CorruptRecordException as error:  # what the parser in Python makes of it
            if not isinstance(error.__cause__, UnicodeDecodeError):
                raise
        # It skips what lies before `next_fetch_offset`: no record comes twice.
        self._records.once_more()
        self._records_iterator = self._unpack_records()
        return next(self)


class _BatchInPython(default_records._DefaultRecordBatchPy):  # type: ignore[misc] # it is final
    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Buffer(self._buffer)


class _Buffer(bytearray):
    """Its slices are read as text with whatever bytes they hold."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Slice(found) if isinstance(at, slice) else found


class _Slice(bytearray):
    def decode(self, encoding: str = "utf-8", _errors: str = "strict") -> str:
        return super().decode(encoding, "surrogateescape")
