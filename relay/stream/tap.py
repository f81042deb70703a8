"""A live sample of events and what became of them, for somebody who looks.

While nobody looks, this is not there: no flag is asked for each event. The engine calls two
functions that it holds as values. The first listener puts functions of the tap in their place,
which call them, and the last one that leaves puts them back. A sample is bounded in its rate, so
the tap costs little while somebody looks.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from relay.model import Activity, Answer, Moment, Record, Undecodable, Unmappable, Unwanted
from relay.stream.engine import Engine
from relay.stream.interpret import Interpretation
from relay.stream.sender import Flight
from relay.stream.sending.lanes import Waiting
from relay.telemetry.outline import outline
from relay.telemetry.samples import RATE_MAX, Sample, Wanted

_LISTENERS_MAX = 8
ONLY_DESTINATION = "tracking API"
"""What the destination is called where there is only one."""
_BODY_CHARS_MAX = 4000


@dataclass(slots=True)
class _Listener:
    wanted: Wanted
    take: Callable[[Sample], None]
    quiet_until: float = 0.0


class Tap:
    """The tap of one engine."""

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        """`now` is the steady clock that the engine's moments are taken from."""
        self._engine = engine
        self._clock = now
        self._names = {
            name: name if len(engine.senders) > 1 else ONLY_DESTINATION for name in engine.senders
        }
        self._answered_by: dict[str, Callable[[Flight, Answer, Moment], None]] = {}
        self._listeners: list[_Listener] = []
        self._quiet_until = 0.0
        """Before this nobody wants a sample."""

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
        self._quiet_until = 0.0

        def close() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
                if not self._listeners:
                    self._detach()

        return close

    # -- in the place of what the engine calls ------------------------------------------------

    def _attach(self) -> None:
        """Whatever stands there, the engine's own or that of tracing, is called first."""
        engine = self._engine
        self._interpreted_by = engine.interpret
        engine.interpret = self._interpreted
        for sender in engine.senders.values():
            self._answered_by[sender.name] = sender.take_answer
            sender.take_answer = partial(self._answered, sender.name)

    def _detach(self) -> None:
        self._engine.interpret = self._interpreted_by
        for sender in self._engine.senders.values():
            sender.take_answer = self._answered_by[sender.name]

    def _answered(self, destination: str, flight: Flight, answer: Answer, now: Moment) -> None:
        answered = self._answered_by[destination]
        if now.steady < self._quiet_until:
            answered(flight, answer, now)
            return
        looking = [one for one in self._listeners if now.steady >= one.quiet_until]
        letters = self._engine.custody.letters
        delivered, dead = self._delivered(), len(letters)
        answered(flight, answer, now)
        became, reason = "attempt failed", ""
        if self._delivered() > delivered:
            became = "delivered"
        elif len(letters) > dead:
            became, reason = "dead-lettered", letters[-1].letter.reason
        for listener in looking:
            self._look(listener, destination, flight, answer, became, reason)

    def _interpreted(self, record: Record, now_ms: int) -> Interpretation:
        outcome = self._interpreted_by(record, now_ms)
        if isinstance(outcome, Undecodable | Unmappable | Unwanted):
            became = "skipped" if isinstance(outcome, Unwanted) else "dead-lettered"
            for listener in self._listeners:
                if self._wants(listener.wanted, self._undecided, record, outcome.code, None):
                    more = {"code": outcome.code, "reason": outcome.reason}
                    self._tell(listener, self._undecided, record, became, record.value, **more)
        return outcome

    @property
    def _undecided(self) -> str:
        """Where something would have gone that is sent nowhere: unknown where there are several."""
        return "" if len(self._names) > 1 else ONLY_DESTINATION

    def _delivered(self) -> int:
        custody = self._engine.custody
        return custody.ledger.delivered + custody.parts.delivered

    def _look(  # noqa: PLR0917 - all that is known of an attempt
        self,
        listener: _Listener,
        destination: str,
        flight: Flight,
        answer: Answer,
        became: str,
        reason: str,
    ) -> None:
        name = self._names[destination]
        for waiting in flight.members:
            record, code = waiting.parcel.record, waiting.last_code
            if self._wants(listener.wanted, name, record, code, waiting):
                self._tell(
                    listener,
                    name,
                    record,
                    became,
                    flight.request.body,
                    code=code,
                    reason=reason,
                    attempts=waiting.attempts,
                    events=len(flight.members),
                    path=flight.request.path if listener.wanted.exact else None,
                    status=answer.status or None,
                )
                return

    # -- samples ------------------------------------------------------------------------------

    def _wants(
        self, wanted: Wanted, name: str, record: Record, code: str, waiting: Waiting | None
    ) -> bool:
        """The cheap questions come first."""
        return (
            (not wanted.topic or record.topic == wanted.topic)
            and (not wanted.code or code == wanted.code)
            and (not wanted.destination or wanted.destination == name)
            and (
                not wanted.account_sha256
                or wanted.account_sha256 in _hashed(_accounts(record, waiting))
            )
        )

    def _tell(
        self,
        listener: _Listener,
        name: str,
        record: Record,
        became: str,
        body: bytes | None,
        **more: Any,
    ) -> None:
        now = self._clock()
        if now < listener.quiet_until:
            return
        wanted = listener.wanted
        listener.quiet_until = now + 1 / min(wanted.rate, RATE_MAX)
        self._quiet_until = min(one.quiet_until for one in self._listeners)
        shown = _text(body) if wanted.exact else outline(body)
        listener.take(
            {
                "position": str(record.position),
                "became": became,
                "destination": name,
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
