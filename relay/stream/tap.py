"""A live sample of events and what became of them, for somebody who looks.

While nobody wants a sample, this is not there: no flag is asked for each event. The engine calls
functions that it holds as values. For each listener that wants a sample, a function of its own is
put in their place, which calls what stood there; the engine's own are put back in the end:

| a listener | it is |
|---|---|
| wants a sample | attached, at the senders of the destination that it names |
| has had one, and by its rate wants none yet | detached; a timer attaches it again |

So the rate is decided before an event is looked at. The filter of a listener is asked before
anything is made of an event; only a sample that is handed over is rendered.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from zlib import crc32

import orjson

from relay.model import (
    Activity,
    Answer,
    Moment,
    Record,
    Undecodable,
    Unmappable,
    Unwanted,
)
from relay.road.settling.assigned import Assigned
from relay.stream.engine import Engine, Other, TakeOther
from relay.stream.interpret import Events
from relay.stream.sender import Flight, Sender, TakeAnswer
from relay.stream.sending.lanes import Waiting
from relay.telemetry.account_digest import AccountDigest
from relay.telemetry.outline import outline
from relay.telemetry.tap_route import RATE_MAX, Sample, SampleFilter

_LISTENERS_MAX = 8  # each costs a call for an event that it looks at
ONLY_DESTINATION = "tracking API"
"""What the destination is called where there is only one."""
_ACCOUNT_ID = b'"$user_account_id":"'
"""As orjson writes it."""
_NEVER_SENT = (Undecodable, Unmappable, Unwanted)
_BODY_CHARS_MAX = 4000  # of a sample, which is a line on a screen


@dataclass(slots=True, eq=False)
class _Listener:
    wanted: SampleFilter
    take: Callable[[Sample], None]
    quiet_until: float = 0.0


class _Timer(Protocol):
    def cancel(self) -> None: ...


CallAt = Callable[[float, Callable[[], None]], _Timer]
"""Calls the second argument at a steady time, as the `call_at` of an asyncio loop."""


class Tap:
    """The tap of one engine, and of the next one when its road is started again."""

    def __init__(self, engine: Engine, now: Callable[[], float], call_at: CallAt) -> None:
        """`now` and `call_at` are of the steady clock that the engine's moments are taken from."""
        self._engine = engine
        self._clock = now
        self._call_at = call_at
        self._listeners: list[_Listener] = []
        self._put_back: list[Callable[[], None]] = []
        """What puts back what the engine called before."""
        self._timer: _Timer | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody looks."""
        return bool(self._listeners)

    def open(
        self, wanted: SampleFilter, take: Callable[[Sample], None]
    ) -> Callable[[], None] | None:
        """Hand samples to `take` until what is returned is called; None when too many look."""
        if len(self._listeners) >= _LISTENERS_MAX:
            return None
        listener = _Listener(wanted, take)
        self._listeners.append(listener)
        self._attach()

        def close() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
                self._attach()

        return close

    def move_to(self, engine: Engine) -> None:
        """From now on this engine's: whoever looks sees what happens there."""
        self._detach()
        self._engine = engine
        self._attach()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """While something else is put in the place of what the engine calls."""
        self._detach()
        yield
        self._attach()

    def _name(self, sender: Sender) -> str:
        return sender.name if self._undecided == "" else ONLY_DESTINATION

    @property
    def _undecided(self) -> str:
        """Where something would have gone that is sent nowhere: unknown where there are several."""
        return "" if len(self._engine.senders) > 1 else ONLY_DESTINATION

    # -- in the place of what the engine calls ------------------------------------------------

    def _attach(self) -> None:
        """Whoever wants a sample, and nobody else: see the table of the module."""
        self._detach()
        now = self._clock()
        wanting = [one for one in self._listeners if one.quiet_until <= now]
        if wanting:
            self._put_in_place(wanting)
        if len(wanting) < len(self._listeners):
            # Whoever has had a sample and wants none yet is not attached at all until then.
            due = min(one.quiet_until for one in self._listeners if one not in wanting)
            self._timer = self._call_at(due, self._attach)

    def _detach(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._put_back:
            self._put_back.pop()()

    def _put_in_place(self, wanting: Sequence[_Listener]) -> None:
        """Whatever stands there, the engine's own or that of tracing, is called first."""
        engine = self._engine
        self._put_back.append(partial(setattr, engine, "take_other", engine.take_other))
        for one in wanting:
            engine.take_other = self._looking_on_at_what_is_not_sent(one, engine.take_other)
        for sender in engine.senders.values():
            self._put_back.append(partial(setattr, sender, "take_answer", sender.take_answer))
            for one in wanting:
                if one.wanted.destination in ("", self._name(sender)):
                    sender.take_answer = self._looking_on(one, sender, sender.take_answer)

    def _looking_on(self, listener: _Listener, sender: Sender, take: TakeAnswer) -> TakeAnswer:
        """What is called in the place of `take`: little more, for what the listener will not want.

        Written without calls for that case: this is for every request while a filter fits none.
        """
        custody, wanted = self._engine.custody, listener.wanted
        topic, code, account = wanted.topic, wanted.code, wanted.account

        def answered(flight: Flight, answer: Answer, now: Moment) -> None:
            # What became of the flight is read off two counts, before and after: that costs nothing
            # where nobody looks, and asks the sender for no value that it would not make otherwise.
            delivered, dead = sender.delivered, len(custody.letters)
            take(flight, answer, now)
            if code and flight.members[0].last_code != code:
                return
            for waiting in flight.members:
                record = waiting.parcel.record
                if (topic and record.topic != topic) or not _is_of(account, record, waiting):
                    continue
                became, reason = "attempt failed", ""
                if sender.delivered > delivered:
                    became = "delivered"
                elif len(custody.letters) > dead:
                    became, reason = "dead-lettered", custody.letters[dead].letter.reason
                self._tell(
                    listener,
                    record,
                    flight.request.body,
                    became=became,
                    destination=self._name(sender),
                    code=waiting.last_code,
                    reason=reason,
                    attempts=waiting.attempts,
                    events=len(flight.members),
                    path=flight.request.path if wanted.exact else None,
                    status=answer.status or None,
                )
                return

        return answered if account is None else _with_account(account, answered, take)

    def _looking_on_at_what_is_not_sent(self, listener: _Listener, take: TakeOther) -> TakeOther:
        """What is called in the place of `take`."""

        def took(record: Record, outcome: Other, assigned: Assigned, now: Moment) -> None:
            take(record, outcome, assigned, now)
            for one in outcome.outcomes if isinstance(outcome, Events) else (outcome,):
                if isinstance(one, _NEVER_SENT) and self._wants(listener, record, one.code):
                    self._tell(
                        listener,
                        record,
                        record.value,
                        became="skipped" if isinstance(one, Unwanted) else "dead-lettered",
                        destination=self._undecided,
                        code=one.code,
                        reason=one.reason,
                    )
                    return

        return took

    def _wants(self, listener: _Listener, record: Record, code: str) -> bool:
        wanted = listener.wanted
        return (
            wanted.code in ("", code)
            and wanted.destination in ("", self._undecided)
            and wanted.topic in ("", record.topic)
            and _is_of(wanted.account, record, None)
        )

    # -- samples ------------------------------------------------------------------------------

    def _tell(self, listener: _Listener, record: Record, body: bytes | None, **more: Any) -> None:
        wanted = listener.wanted
        listener.quiet_until = self._clock() + 1 / min(wanted.rate, RATE_MAX)
        self._attach()
        shown = _text(body) if wanted.exact else outline(body)
        listener.take(
            {
                "position": str(record.position),
                **{name: value for name, value in more.items() if value not in (None, "")},
                "content": None if shown is None else shown[:_BODY_CHARS_MAX],
            }
        )


def _with_account(account: AccountDigest, wanted: TakeAnswer, other: TakeAnswer) -> TakeAnswer:
    """`other` takes what has no account with this length and CRC-32, `wanted` the rest.

    What travels together has the same envelope, which is not decoded here: `split` is the cheapest
    way to each account in it (a search by `find`, `in` or a pattern costs more, in instructions).
    """
    size, crc = account.size, account.crc32

    def answered(flight: Flight, answer: Answer, now: Moment) -> None:
        payload = flight.members[0].parcel.payload
        if isinstance(payload, Activity):
            found = payload.envelope.split(_ACCOUNT_ID)
            # Nearly always one, which is compared without a loop.
            if (
                (
                    len(found) == 2 and crc32(found[1][:size]) != crc  # noqa: PLR2004
                )
                or all(crc32(rest[:size]) != crc for rest in found[1:])
            ):
                other(flight, answer, now)
                return
        wanted(flight, answer, now)

    return answered


def _is_of(account: AccountDigest | None, record: Record, waiting: Waiting | None) -> bool:
    """Whether the account is in what is sent, or in an event in Relay's own format."""
    if account is None:
        return True
    payload = None if waiting is None else waiting.parcel.payload
    document = payload.envelope if isinstance(payload, Activity) else record.value
    return any(map(account.fits, _accounts(document)))


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
