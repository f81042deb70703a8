"""The values that one event passes through, in order. All are immutable.

    Record ──decode──▶ AppEvent ──map──▶ Activity | Request ──wrap──▶ Parcel
              │                    │
              ├▶ Undecodable       └▶ Unmappable | Unwanted
              └▶ NeedsSchema, then decoded again
    Parcel ──send──▶ Answer ──judge──▶ Verdict ──settle──▶ Fate
                                          └▶ DeadLetter ─────┘

`AppEvent` is the input format itself: `relay.stream.decoding.app_event`.

What every event needs is a named tuple, which is made seven times as fast as a frozen dataclass;
each of those that hold personal data says of itself only what holds none.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, TypeAlias


class Partition(NamedTuple):
    """A topic's partition."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.number}"


class Position(NamedTuple):
    """Where a record stands in Kafka. Written `topic-partition-offset`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


DEFAULT_DESTINATION = "default"
"""The name of the destination that `tracking` describes."""

Header = tuple[str, bytes | None]
"""A Kafka header. Names may repeat, their order counts, and a value may be null."""


class Record(NamedTuple):
    """A Kafka record as it came: raw bytes, and the assignment epoch that fences late results.

    Its `repr` shows the position only: keys, values and headers may hold personal data.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    epoch: int = 0

    def __repr__(self) -> str:
        return f"Record({self.position}, epoch={self.epoch})"

    @property
    def position(self) -> Position:
        """Where the record stands."""
        return Position(self.topic, self.partition, self.offset)

    @property
    def tp(self) -> Partition:
        """The partition that the record stands in."""
        # As `Partition(topic, number)`, without a call of Python for each record that comes.
        return tuple.__new__(Partition, self[:2])

    @property
    def size_bytes(self) -> int:
        """What the record weighs in memory, about: key, value, headers."""
        size = len(self.key or b"") + len(self.value or b"")
        for name, value in self.headers:
            size += len(name) + len(value or b"")
        return size


@dataclass(frozen=True, slots=True)
class Undecodable:
    """The record is not an app event.

    `code` is from a closed set; `reason` names the field, never its value.
    """

    code: str
    reason: str


SchemaKey: TypeAlias = int | str
"""What names a schema in its registry: the id, or the GUID as text."""


class NeedsSchema(NamedTuple):
    """The schema of this record is not cached: fetch it, then decode the record again."""

    key: SchemaKey


@dataclass(frozen=True, slots=True)
class Unmappable:
    """A well-formed event that cannot become an activity under this policy: it is dead-lettered."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unwanted:
    """A well-formed record that is not sent by choice: it is skipped and counted under `code`."""

    code: str
    reason: str


class Activity(NamedTuple):
    """One user activity, ready to be posted.

    `envelope` is the JSON object without `$ts`, `$unique_key` and `$events`; each of `events` is
    a JSON object. They stay apart so that waiting events with the same envelope can travel
    together, which `mergeable` says they may. `user` identifies whose it is without saying who (a
    digest), and is None when ordering by user is impossible. `notes` are bounded codes of what
    mapping left out or changed.
    """

    envelope: bytes
    ts_ms: int
    unique_key: str | None
    events: tuple[bytes, ...]
    user: str | None
    mergeable: bool = False
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Activity(ts_ms={self.ts_ms}, unique_key={self.unique_key}, user={self.user})"

    def body(self) -> bytes:
        """The JSON document that is posted."""
        key = b"" if self.unique_key is None else b',"$unique_key":"%b"' % self.unique_key.encode()
        return b'%b,"$ts":%d%b,"$events":[%b]}' % (
            self.envelope[:-1],
            self.ts_ms,
            key,
            b",".join(self.events),
        )


class RequestKind(StrEnum):
    """What a request is about: the same answer may mean different things."""

    ACTIVITY = "activity"
    USER_POINT = "user_point"


class Request(NamedTuple):
    """One HTTP request, without the base address and without the credentials.

    The path of a user point names the user. `unique_key` recognises a repeated record; of an
    activity it stands in the body, too. `user` is as in `Activity`, for what is no activity.
    """

    method: str
    path: str
    body: bytes
    unique_key: str | None = None
    kind: RequestKind = RequestKind.ACTIVITY
    notes: tuple[str, ...] = ()
    user: str | None = None

    def __repr__(self) -> str:
        return f"Request({self.method}, {self.kind}, unique_key={self.unique_key})"


class Parcel(NamedTuple):
    """What one record became, and the lane that it must keep to.

    `lane` is None for a parcel that may overtake and be overtaken. `payload` is an activity, which
    may travel with its neighbours, or a request of its own.
    """

    record: Record
    lane: Hashable | None
    payload: Activity | Request
    destination: str = DEFAULT_DESTINATION

    def __repr__(self) -> str:
        return f"Parcel({self.record!r}, {self.payload!r})"

    @property
    def size_bytes(self) -> int:
        """What the parcel weighs in memory, about."""
        payload = self.payload
        if isinstance(payload, Activity):
            weight = len(payload.envelope) + sum(map(len, payload.events))
        else:
            weight = len(payload.body)
        return self.record.size_bytes + weight + _OVERHEAD_BYTES


_OVERHEAD_BYTES = 1500
"""The objects around the bytes: record, parcel, lane, open offset. Measured with tracemalloc."""


class NoAnswer(StrEnum):
    """Why there was no HTTP answer to an attempt."""

    CONNECT = "connect"
    TIMEOUT = "timeout"
    BROKEN = "broken"
    TOO_LARGE = "too_large"


class Answer(NamedTuple):
    """What came back for one attempt: a response, or why there is none (then `status` is 0).

    `headers` have lower-case names. `cut`: the body is longer than is read, this is its beginning.
    """

    status: int
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    no_answer: NoAnswer | None = None
    detail: str = ""
    cut: bool = False

    def __repr__(self) -> str:
        return f"Answer({self.status}, no_answer={self.no_answer}, detail={self.detail!r})"


class VerdictKind(StrEnum):
    """What an attempt means for its record and for everything bound to the same destination."""

    DELIVERED = "delivered"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on one attempt.

    `code` is bounded (`http_429`, `timeout`, …): it may be a metric label.
    """

    kind: VerdictKind
    code: str
    reason: str
    status: int = 0
    retry_after_s: float | None = None


class Commit(NamedTuple):
    """What is committed for a partition: the next offset to read, and the text kept beside it."""

    offset: int
    metadata: str = ""


class Moment(NamedTuple):
    """Now, on both clocks: `steady` in seconds for durations, `wall_ms` since the Unix epoch."""

    steady: float
    wall_ms: int


class Fate(StrEnum):
    """How a record ends; offsets move on fates only."""

    DELIVERED = "delivered"
    DEAD_LETTERED = "dead_lettered"
    SKIPPED = "skipped"


class DeadLetterClass(StrEnum):
    """Why a record could not be delivered, by the stage that found out.

    FOLLOWED: nothing is wrong with it, but an earlier record of its user was dead-lettered and the
    policy keeps the two together.
    """

    UNDECODABLE = "undecodable"
    UNMAPPABLE = "unmappable"
    REFUSED = "refused"
    EXHAUSTED = "exhausted"
    FOLLOWED = "followed"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record, or events of one, that ends in the dead-letter topic. Times in epoch ms."""

    record: Record
    cls: DeadLetterClass
    code: str
    reason: str
    status: int = 0
    excerpt: str = ""
    attempts: int = 0
    first_attempt_ms: int | None = None
    last_attempt_ms: int | None = None
    events: tuple[int, ...] = ()
    """Of a record that holds several events: which of them this letter is about, from 0."""
    events_total: int = 0
    """How many events such a record holds; 0: the letter is about the record as a whole."""
    destination: str = ""
    """The name of where it was bound for; empty where that was never decided."""
    codes: tuple[tuple[int, str], ...] = ()
    """Where it is about several events: the first few of them, each with its code."""
