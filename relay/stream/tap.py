"""A live sample of events and what became of them, for somebody who looks.

While nobody wants a sample, this is not there: no flag is asked for each event. The engine calls
two functions that it holds as values. A tap that is attached puts functions of its own in their
place, which call them; a tap that is detached puts them back:

| listeners | the tap is |
|---|---|
| none | detached |
| all have had a sample, and by their rate want none yet | detached; a timer attaches it again |
| one of them wants a sample | attached |

So the rate is decided before an event is looked at. While attached, the filter of a listener is
asked before anything is made of an event; only a sample that is handed over is rendered.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from zlib import crc32

import orjson

from relay.model import (
    Activity,
    Answer,
    Moment,
    Parcel,
    Record,
    Undecodable,
    Unmappable,
    Unwanted,
)
from relay.stream.engine import Engine
from relay.stream.interpret import Events, Interpret, Interpretation
from relay.stream.sender import Flight
from relay.stream.sending.lanes import Waiting
from relay.telemetry.account_digest import AccountDigest
from relay.telemetry.outline import outline
from relay.telemetry.samples import RATE_MAX, Sample, Wanted

_LISTENERS_MAX = 8
ONLY_DESTINATION = "tracking API"
"""What the destination is called where there is only one."""
_ACCOUNT_ID = b'"$user_account_id":"'
"""As orjson writes it."""
_NEVER_SENT = (Undecodable, Unmappable, Unwanted)
_BODY_CHARS_MAX = 4000


@dataclass(slots=True)
class _Listener:
    wanted: Wanted
    take: Callable[[Sample], None]
    crc: int | None
    """Of the account that is wanted, if one is."""
    quiet_until: float = 0.0


class _Timer(Protocol):
    def cancel(self) -> None: ...


TakeAnswer = Callable[[Flight, Answer, Moment], None]
CallAt = Callable[[float, Callable[[], None]], _Timer]
"""Calls the second argument at a steady time, as the `call_at` of an asyncio loop."""


class Tap:
    """The tap of one engine."""

    def __init__(self, engine: Engine, now: Callable[[], float], call_at: CallAt) -> None:
        """`now` and `call_at` are of the steady clock that the engine's moments are taken from."""
        self._engine = engine
        self._clock = now
        self._call_at = call_at
        several = len(engine.senders) > 1
        self._names = {name: name if several else ONLY_DESTINATION for name in engine.senders}
        self._undecided = "" if several else ONLY_DESTINATION
        """Where something would have gone that is sent nowhere: unknown where there are several."""
        self._answered_by: dict[str, TakeAnswer] = {}
        self._listeners: list[_Listener] = []
        self._attached = False
        self._timer: _Timer | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody looks."""
        return bool(self._listeners)

    def open(self, wanted: Wanted, take: Callable[[Sample], None]) -> Callable[[], None] | None:
        """Hand samples to `take` until what is returned is called; None when too many look."""
        if len(self._listeners) >= _LISTENERS_MAX:
            return None
        account = wanted.account
        listener = _Listener(wanted, take, None if account is None else account.crc32)
        self._listeners.append(listener)
        self._attach_or_wait()

        def close() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
                self._attach_or_wait()

        return close

    # -- in the place of what the engine calls ------------------------------------------------

    def _attach_or_wait(self) -> None:
        """See the table of the module."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wanted_from = min((one.quiet_until for one in self._listeners), default=None)
        if wanted_from is None:
            self._detach()
        elif wanted_from <= self._clock():
            self._attach()
        else:
            self._detach()
            self._timer = self._call_at(wanted_from, self._attach_or_wait)

    def _attach(self) -> None:
        """Whatever stands there, the engine's own or that of tracing, is called first."""
        if self._attached:
            return
        self._attached = True
        engine = self._engine
        self._interpreted_by = engine.interpret
        engine.interpret = self._looking_on_at_what_is_not_sent(engine.interpret)
        for sender in engine.senders.values():
            self._answered_by[sender.name] = sender.take_answer
            sender.take_answer = self._looking_on(sender.name, sender.take_answer)

    def _detach(self) -> None:
        if not self._attached:
            return
        self._attached = False
        self._engine.interpret = self._interpreted_by
        for sender in self._engine.senders.values():
            sender.take_answer = self._answered_by[sender.name]

    def _looking_on(self, sender: str, take: TakeAnswer) -> TakeAnswer:
        """What is called in the place of `take`: little more, where no listener may want it."""
        listeners = self._listeners

        def answered(flight: Flight, answer: Answer, now: Moment) -> None:
            for listener in listeners:
                crc = listener.crc
                if now.steady >= listener.quiet_until and (crc is None or _may_name(flight, crc)):
                    self._answered(sender, flight, answer, now)
                    return
            take(flight, answer, now)

        return answered

    def _answered(self, sender: str, flight: Flight, answer: Answer, now: Moment) -> None:
        custody = self._engine.custody
        ledger, parts, letters = custody.ledger, custody.parts, custody.letters
        delivered, dead = ledger.delivered + parts.delivered, len(letters)
        self._answered_by[sender](flight, answer, now)
        code, destination = flight.members[0].last_code, self._names[sender]
        for listener in self._listeners:
            wanted = listener.wanted
            # Asked here, without a call: this is for every request while a filter fits none.
            if now.steady < listener.quiet_until or (wanted.code and wanted.code != code):
                continue
            waiting = self._wanted_of(wanted, flight, destination)
            if waiting is None:
                continue
            became, reason = "attempt failed", ""
            if ledger.delivered + parts.delivered > delivered:
                became = "delivered"
            elif len(letters) > dead:
                became, reason = "dead-lettered", letters[-1].letter.reason
            self._tell(
                listener,
                waiting.parcel.record,
                flight.request.body,
                became=became,
                destination=destination,
                code=code,
                reason=reason,
                attempts=waiting.attempts,
                events=len(flight.members),
                path=flight.request.path if wanted.exact else None,
                status=answer.status or None,
            )

    def _looking_on_at_what_is_not_sent(self, interpret: Interpret) -> Interpret:
        """What is called in the place of `interpret`."""

        def interpreted(record: Record, now_ms: int) -> Interpretation:
            outcome = interpret(record, now_ms)
            if isinstance(outcome, Parcel):  # nearly every one
                return outcome
            for one in outcome.outcomes if isinstance(outcome, Events) else (outcome,):
                if isinstance(one, _NEVER_SENT):
                    self._not_sent(record, one)
            return outcome

        return interpreted

    def _not_sent(self, record: Record, outcome: Undecodable | Unmappable | Unwanted) -> None:
        code, destination = outcome.code, self._undecided
        for listener in self._listeners:
            wanted = listener.wanted
            if (
                self._clock() >= listener.quiet_until
                and wanted.code in ("", code)
                and wanted.destination in ("", destination)
                and wanted.topic in ("", record.topic)
                and (wanted.account is None or _names(record, None, wanted.account))
            ):
                self._tell(
                    listener,
                    record,
                    record.value,
                    became="skipped" if isinstance(outcome, Unwanted) else "dead-lettered",
                    destination=destination,
                    code=code,
                    reason=outcome.reason,
                )

    # -- samples ------------------------------------------------------------------------------

    def _wanted_of(self, wanted: Wanted, flight: Flight, destination: str) -> Waiting | None:
        """The first event of a request that is wanted."""
        if wanted.destination not in ("", destination):
            return None
        topic, account = wanted.topic, wanted.account
        for waiting in flight.members:
            record = waiting.parcel.record
            if topic in ("", record.topic) and (
                account is None or _names(record, waiting, account)
            ):
                return waiting
        return None

    def _tell(self, listener: _Listener, record: Record, body: bytes | None, **more: Any) -> None:
        wanted = listener.wanted
        listener.quiet_until = self._clock() + 1 / min(wanted.rate, RATE_MAX)
        self._attach_or_wait()
        shown = _text(body) if wanted.exact else outline(body)
        listener.take(
            {
                "position": str(record.position),
                **{name: value for name, value in more.items() if value not in (None, "")},
                "content": None if shown is None else shown[:_BODY_CHARS_MAX],
            }
        )


def _names(record: Record, waiting: Waiting | None, account: AccountDigest) -> bool:
    """Whether the account is in what is sent, or in an event in Relay's own format."""
    payload = None if waiting is None else waiting.parcel.payload
    document = payload.envelope if isinstance(payload, Activity) else record.value
    return any(map(account.fits, _accounts(document)))


def _may_name(flight: Flight, crc: int) -> bool:
    """False only where no event of the request has an account with this CRC-32.

    What travels together has the same envelope, which is not decoded here. By `partition` alone:
    `find` costs three times as much a call, and `in` four times.
    """
    payload = flight.members[0].parcel.payload
    if not isinstance(payload, Activity):
        return True
    rest = payload.envelope.partition(_ACCOUNT_ID)[2]
    while rest:
        account, _, rest = rest.partition(b'"')
        if crc32(account) == crc:
            return True
        rest = rest.partition(_ACCOUNT_ID)[2]
    return False


def _accounts(raw: bytes | None) -> Iterator[bytes]:
    """The account ids of an activity, or of an event in Relay's own format."""
    try:
        document = orjson.loads(raw or b"")
    except orjson.JSONDecodeError:
        return
    if not isinstance(document, dict):
        return
    user = document.get("user")
    accounts = user.get("accounts") if isinstance(user, dict) else None
    listed = ((document.get("$user_identifiers"), "$user_account_id"), (accounts, "id"))
    for found, name in listed:
        for one in found if isinstance(found, list) else ():
            if isinstance(one, dict) and isinstance(one.get(name), str):
                yield one[name].encode("utf-8", "surrogatepass")


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "replace")
