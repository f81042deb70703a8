"""Facts about the schema registry."""

from typing import Annotated, ClassVar

from relay.telemetry.facts import Counter, Fact, Level, Stage, fact


@fact
class RegistryUnavailable(Fact):
    """A schema cannot be had: the partitions whose next record needs it wait; all others go on.

    Nothing is lost; Relay is not ready and asks again by itself. Records whose schema is known go
    on. Where the reason names credentials, an address or a package, somebody has to act.
    """

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.DECODING
    counter: ClassVar[Counter | None] = Counter(
        "relay_registry_outages_total", "Times the schema registry could not be asked."
    )

    reason: Annotated[str, "What came back, or that nothing did."]
    refused: Annotated[bool, "Whether it refuses: then waiting alone does not help."]


@fact
class RegistryAvailable(Fact):
    """The schema registry answers again, and the partitions that waited go on."""

    stage: ClassVar[Stage] = Stage.DECODING

    held_s: Annotated[float, "How long it could not be asked."]
