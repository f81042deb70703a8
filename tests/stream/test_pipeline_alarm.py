from types import SimpleNamespace

import uvloop

from relay.clock import SystemClock
from relay.stream.pipeline import Pipeline, PipelinePolicy


def test_an_alarm_for_a_time_that_has_come_may_be_set_again_under_uvloop():
    # uvloop makes no timer of it, but a plain handle, which does not know for when it is.
    async def scenario():
        engine = SimpleNamespace(wakes_at=lambda now: now)
        pipeline = Pipeline(
            engine, None, None, None,
            emit=lambda fact: None, clock=SystemClock(), policy=PipelinePolicy(), reporter=None,
        )  # fmt: skip
        pipeline._loop = uvloop.new_event_loop()
        try:
            now = pipeline._loop.time() - 1
            pipeline._set_alarm(now)
            first = pipeline._alarm
            pipeline._set_alarm(now)
            assert pipeline._alarm is first
        finally:
            pipeline._loop.close()

    uvloop.run(scenario())
