from types import SimpleNamespace

import uvloop

from relay.clock import SystemClock
from relay.stream.pipeline import FlightCarrier


def test_an_alarm_for_a_time_that_has_come_may_be_set_again_under_uvloop():
    # uvloop makes no timer of it, but a plain handle, which does not know for when it is.
    async def scenario():
        sender = SimpleNamespace(wakes_at=lambda now: now)
        carrier = FlightCarrier(sender, None, SystemClock())
        carrier._loop = uvloop.new_event_loop()
        try:
            now = carrier._loop.time() - 1
            carrier._set_alarm(now)
            first = carrier._alarm
            carrier._set_alarm(now)
            assert carrier._alarm is first
        finally:
            carrier._loop.close()

    uvloop.run(scenario())
