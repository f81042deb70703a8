"""Facts about dead letters that are sent again."""

from typing import Annotated

from relay.telemetry.facts import Fact, Stage, fact


@fact(stage=Stage.SETTLING)
class DeadLettersReplayed(Fact):
    """Dead letters were sent again from the page; their records are in their topics now."""

    count: Annotated[int, "How many."]
    topics: Annotated[str, "Where they were written, separated by commas."]
