"""Whether anything may be sent to a scope now: a whole destination, or one of its routes.

Four states:

    flowing   everything may be sent
    paused    it asked for a pause (429, Retry-After, RateLimit): nothing is sent until it is over
    down      it does not answer or answers 5xx only: one probe at a time, ever less often
    held      the address, the token or the datamart is wrong, or nearly everything is refused: the
              same, until somebody fixes it

What closes it is decided in `relay.stream.sending.scope`. While it is not flowing, a failure says
nothing about the record that met it, so no attempt is counted against it.
"""

import random
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from relay.backoff import doubled
from relay.section import Section


class GateState(StrEnum):
    """See the module's docstring."""

    FLOWING = "flowing"
    PAUSED = "paused"
    DOWN = "down"
    HELD = "held"


class GatePolicy(Section):
    """When the gate closes and how it probes. Seconds."""

    down_after_failures: int = Field(
        5,
        ge=1,
        le=1000,
        description="Failures in a row, without a success, after which the API counts as down: "
        "then one probe at a time is sent and no attempt is counted.",
    )
    probe_every_max_s: float = Field(
        15.0, gt=0, le=600, description="Longest wait between two probes of an API that is down."
    )
    pause_max_s: float = Field(
        300.0, gt=0, le=86_400, description="Longest pause that a `Retry-After` can ask for."
    )
    down_after_alone_s: ClassVar[float] = 15.0
    """How long one lane alone has to fail before that is an outage. Where little is sent, one bad
    record made a row of failures by itself: in a simulated half hour that looked like an outage
    seventeen times."""
    probe_first_s: ClassVar[float] = 0.5
    """The wait for the first probe, of which the second half is drawn; each further one doubles."""
    pause_first_s: ClassVar[float] = 0.02
    """The first pause when no time to wait is named; each further one is twice as long."""
    pause_unasked_max_s: ClassVar[float] = 5.0
    """The longest of these. Nobody asked for it, so no more than a probe's wait is lost by it."""


class Gate:
    """The state of one scope. Time in seconds of any steady clock."""

    def __init__(self, policy: GatePolicy, rng: random.Random) -> None:
        self._policy = policy
        self._rng = rng
        self.state = GateState.FLOWING
        self.since = 0.0
        self.reason = ""
        self.paused_until = 0.0
        self._probe_at = 0.0
        self._probe_out = _NO_PROBE
        self._probes_failed = 0
        self._unasked = 0
        self.probes = 0

    # What changes the state, and to what:
    #
    #     |                  | flowing   | paused             | down, held                        |
    #     |------------------|-----------|--------------------|-----------------------------------|
    #     | `accepted`       |           |                    | flowing; paused, if a pause lasts |
    #     | `pause`, asked   | paused    | the later end      | paused: it is there again         |
    #     | `pause`, unasked | paused    |                    | paused                            |
    #     | `close`          | down/held | down/held; its end | next probe after twice as long;   |
    #     |                  |           | binds as well      | from the other state: as at first |
    #     | `open`           |           |                    | flowing                           |
    #     | `tick`           |           | flowing, if over   |                                   |
    #
    # Empty: nothing changes. Holds always: a probe is out only while the gate is down or held, and
    # at most one; `_probe_out` is its number.
    def opens_at(self, now: float) -> float | None:
        """When the next request may leave; None while a probe is out."""
        if self.state is GateState.FLOWING:
            return now
        if self.state is GateState.PAUSED:
            return max(now, self.paused_until)
        if self._probe_out:
            return None
        # A pause that was asked for outlives an outage that began in it.
        return max(now, self._probe_at, self.paused_until)

    @property
    def is_closed(self) -> bool:
        """Whether only probes leave."""
        return self.state in _PROBING

    def left(self) -> int:
        """A request leaves. Returns the number to give to `landed`: not 0 when it is a probe."""
        if self.state not in _PROBING:
            return _NO_PROBE
        self.probes += 1
        self._probe_out = self.probes
        return self.probes

    def landed(self, probe: int) -> bool:
        """An answer came for what `left` under this number. Returns whether it may space probes.

        While the gate is closed, what left before it closed says nothing new: only a probe does.
        """
        # Closed, and the answer is
        #
        #     the probe's             it counts: the next probe is spaced by it
        #     of what left before     it does not: it may be a minute old
        #     an earlier probe's      it does not: the gate opened and closed again since
        #
        # 0 stands for "not a probe", and for "none is out": equal, and still not awaited.
        awaited = probe == self._probe_out
        if awaited:
            self._probe_out = _NO_PROBE
        return not self.is_closed or (awaited and probe != _NO_PROBE)

    def accepted(self, now: float) -> None:
        """A request was accepted: whatever closed the gate is over, except a pause."""
        self._unasked = 0
        if self.state in _PROBING:
            paused = now < self.paused_until
            self._enter(GateState.PAUSED if paused else GateState.FLOWING, "", now)

    def pause(self, asked_s: float | None, reason: str, now: float) -> None:
        """Let nothing leave for `asked_s` seconds; None: longer each time."""
        if asked_s is not None and asked_s >= self._policy.pause_first_s:
            pause_s = min(asked_s, self._policy.pause_max_s)
        elif self.state is GateState.PAUSED:
            return  # it left before the pause began, and says nothing new
        else:
            # "At once" from one that throttles is no answer to how long: it would be a flood.
            policy = self._policy
            pause_s = doubled(policy.pause_first_s, self._unasked, policy.pause_unasked_max_s)
            self._unasked += 1
        self.paused_until = max(self.paused_until, now + pause_s)
        self._enter(GateState.PAUSED, reason, now)

    def close(self, state: GateState, reason: str, now: float) -> None:
        """Let nothing leave but probes; while it is closed: the probe failed."""
        if self.state is not state:
            self._probes_failed = 0
        policy = self._policy
        delay = doubled(policy.probe_first_s, self._probes_failed, policy.probe_every_max_s)
        self._probes_failed += 1
        # Half of the delay is certain: the number of probes in an outage stays bounded.
        self._probe_at = now + delay * (0.5 + 0.5 * self._rng.random())
        self._enter(state, reason, now)

    def open(self, now: float) -> None:
        """A wider scope has taken over."""
        if self.state in _PROBING:
            self._enter(GateState.FLOWING, "", now)

    def tick(self, now: float) -> GateState | None:
        """Let a pause end. Returns the state before, when the state changed."""
        if self.state is GateState.PAUSED and now >= self.paused_until:
            self._enter(GateState.FLOWING, "", now)
            return GateState.PAUSED
        return None

    def _enter(self, state: GateState, reason: str, now: float) -> None:
        if self.state is not state:
            self.since = now
        if state not in _PROBING:
            self._probe_out = _NO_PROBE
        self.state = state
        self.reason = reason


_NO_PROBE = 0
_PROBING = frozenset({GateState.DOWN, GateState.HELD})
