"""A live sample of events and what became of them, for somebody who looks.

While nobody looks, the engine and the custody do not know that this exists: there is no flag that
they would ask for each event. The first listener puts a method of the tap in the place of three of
theirs, on these objects alone, and the last one that leaves takes them out again. So a tap costs
nothing when nobody looks; and a sample is bounded in its rate, so it costs little when somebody
does.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from relay.model import Activity, Answer, Fate, Moment, Record
from relay.road.settling.assigned import Assigned, PendingLetter
from relay.stream.engine import Engine, Flight
from relay.stream.sending.lanes import Waiting
from relay.telemetry.outline import outline
from relay.telemetry.samples import RATE_MAX, Sample, Wanted

_LISTENERS_MAX = 8
_BODY_CHARS_MAX = 4000


@dataclass(slots=True)
class _Listener:
    wanted: Wanted
    take: Callable[[Sample], None]
    quiet_until: float = 0.0


class Tap:
    """The tap of one engine."""

    def __init__(
        self, engine: Engine, now: Callable[[], float], destination: str = "tracking API"
    ) -> None:
        """`now` is the steady clock that the engine's moments are taken from."""
        self._engine = engine
        self._clock = now
        self._destination = destination
        self._listeners: list[_Listener] = []
        self._replaced: list[tuple[Any, str, Any]] = []

    @property
    def is_open(self) -> bool:
        """Whether somebody looks."""
        return bool(self._listeners)

    def open(self, wanted: Wanted, take: Callable[[Sample], None]) -> Callable[[], None] | None:
        """Hand samples to `take` until what is returned is called; None when too many look."""
        if len(self._listeners) >= _LISTENERS_MAX:
            return None
        listener = _Listener(wanted, take)
        if not self._listeners:
            self._attach()
        self._listeners.append(listener)

        def close() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
                if not self._listeners:
                    self._detach()

        return close

    # -- in the place of methods of the engine and the custody --------------------------------

    def _attach(self) -> None:
        """Whatever stands there, the class's own method or that of tracing, is called first."""
        engine, custody = self._engine, self._engine.custody
        self._before = engine.answered
        self._buried = custody.dead_letter
        self._settled = custody.settle
        for owner, name, ours in (
            (engine, "answered", self._answered),
            (custody, "dead_letter", self._dead_letter),
            (custody, "settle", self._settle),
        ):
            self._replaced.append((owner, name, owner.__dict__.get(name)))
            setattr(owner, name, ours)

    def _detach(self) -> None:
        for owner, name, before in self._replaced:
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._replaced.clear()

    def _answered(self, flight: Flight, answer: Answer, now: Moment) -> None:
        before = self._delivered()
        self._before(flight, answer, now)
        for listener in self._listeners:
            if now.steady >= listener.quiet_until:
                self._look(listener, flight, answer, delivered=self._delivered() > before)

    def _delivered(self) -> int:
        custody = self._engine.custody
        return custody.ledger.delivered + custody.parts.delivered

    def _look(
        self, listener: _Listener, flight: Flight, answer: Answer, *, delivered: bool
    ) -> None:
        for waiting in flight.members:
            code = waiting.last_code
            record = waiting.parcel.record
            if not self._wants(listener.wanted, record, code, waiting):
                continue
            self._tell(
                listener,
                record,
                "delivered" if delivered else "attempt failed",
                flight.request.body,
                code=code,
                attempts=waiting.attempts,
                events=len(flight.members),
                path=flight.request.path if listener.wanted.exact else None,
                status=answer.status or None,
            )
            return

    def _dead_letter(self, pending: PendingLetter) -> None:
        self._buried(pending)
        letter = pending.letter
        for listener in self._listeners:
            if self._wants(listener.wanted, letter.record, letter.code, None):
                self._tell(
                    listener,
                    letter.record,
                    "dead-lettered",
                    letter.record.value,
                    code=letter.code,
                    reason=letter.reason,
                    attempts=letter.attempts,
                )

    def _settle(self, home: Assigned, offset: int, size_bytes: int, fate: Fate, code: str) -> None:
        self._settled(home, offset, size_bytes, fate, code)
        if fate is not Fate.SKIPPED:
            return
        record = Record(*home.partition, offset, -1, None, None, ())
        for listener in self._listeners:
            if self._wants(listener.wanted, record, code, None):
                self._tell(listener, record, "skipped", None, code=code)

    # -- samples ------------------------------------------------------------------------------

    def _wants(self, wanted: Wanted, record: Record, code: str, waiting: Waiting | None) -> bool:
        """The cheap questions come first."""
        return (
            (not wanted.topic or record.topic == wanted.topic)
            and (not wanted.code or code == wanted.code)
            and (not wanted.destination or wanted.destination == self._destination)
            and (
                not wanted.account_sha256
                or wanted.account_sha256 in _hashed(_accounts(record, waiting))
            )
        )

    def _tell(
        self, listener: _Listener, record: Record, became: str, body: bytes | None, **more: Any
    ) -> None:
        now = self._clock()
        if now < listener.quiet_until:
            return
        wanted = listener.wanted
        listener.quiet_until = now + 1 / min(wanted.rate, RATE_MAX)
        shown = _text(body) if wanted.exact else outline(body)
        listener.take(
            {
                "position": str(record.position),
                "became": became,
                "destination": self._destination,
                **{name: value for name, value in more.items() if value not in (None, "")},
                "content": None if shown is None else shown[:_BODY_CHARS_MAX],
            }
        )


def _hashed(accounts: Iterator[str]) -> set[str]:
    return {hashlib.sha256(account.encode()).hexdigest() for account in accounts}


def _accounts(record: Record, waiting: Waiting | None) -> Iterator[str]:
    """The accounts that a record names: in what is sent, or in Relay's own format."""
    payload = None if waiting is None else waiting.parcel.payload
    raw = payload.envelope if isinstance(payload, Activity) else record.value
    try:
        document = orjson.loads(raw or b"")
    except orjson.JSONDecodeError:
        return
    if not isinstance(document, dict):
        return
    identifiers = document.get("$user_identifiers")
    for one in identifiers if isinstance(identifiers, list) else ():
        if isinstance(one, dict) and isinstance(one.get("$user_account_id"), str):
            yield one["$user_account_id"]
    user = document.get("user")
    accounts = user.get("accounts") if isinstance(user, dict) else None
    for one in accounts if isinstance(accounts, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            yield one["id"]


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "replace")
