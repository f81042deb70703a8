"""Facts about dead letters that are sent again."""

from typing import Annotated, ClassVar

from relay.telemetry.facts import Fact, Stage, fact


@fact
class DeadLettersReplayed(Fact):
    """Dead letters were sent again from the page; their records are in their topics now."""

    stage: ClassVar[Stage] = Stage.SETTLING

    count: Annotated[int, "How many."]
    topics: Annotated[str, "Where they were written, separated by commas."]
