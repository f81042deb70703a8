"""Peak memory of one relay at full speed with a long lag behind it."""

from typing import Any

from bench.compare import Recorded, line
from bench.contenders import RELAY, RELAY_OFF
from bench.trial import Conditions, trial


async def measured(recorded: Recorded, lag: int) -> dict[str, Any]:
    """Coalescing on and off; stopped after some seconds: its memory has its size by then."""
    topic = recorded.topic(lag, 1.1)
    peaks: dict[str, float] = {}
    for contender in (RELAY, RELAY_OFF):
        result = await trial(
            contender, recorded.bootstrap, topic, Conditions(seconds_max=20 if lag > 10**5 else 60)
        )
        print(f"  {line(result)}", flush=True)
        peaks[contender.name] = result.memory_mb
    return {"lag": lag, "peak_mb": peaks}
