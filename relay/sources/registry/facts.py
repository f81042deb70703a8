"""Facts about the schema registry."""

from typing import Annotated

from relay.telemetry.facts import Counter, Fact, Level, Stage, fact


@fact(
    level=Level.ERROR,
    stage=Stage.DECODING,
    counter=Counter(
        "relay_registry_outages_total", "Times the schema registry could not be asked."
    ),
)
class RegistryUnavailable(Fact):
    """A schema cannot be had: the partitions whose next record needs it wait; all others go on.

    Nothing is lost; Relay is not ready and asks again by itself. Records whose schema is known go
    on. Where the reason names credentials, an address or a package, somebody has to act.
    """

    reason: Annotated[str, "What came back, or that nothing did."]
    refused: Annotated[bool, "Whether it refuses: then waiting alone does not help."]


@fact(stage=Stage.DECODING)
class RegistryAvailable(Fact):
    """The schema registry answers again, and the partitions that waited go on."""

    held_s: Annotated[float, "How long it could not be asked."]
