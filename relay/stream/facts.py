"""Facts of the road to the tracking API."""

from typing import Annotated

from relay.model import DEFAULT_DESTINATION, Position
from relay.telemetry.facts import Alike, Counter, Fact, Level, Stage, fact


@fact(stage=Stage.MAPPING)
class RecordsSkipped(Fact):
    """Records were not sent by choice, since the last line of this kind and code."""

    code: Annotated[str, "Which choice, from a closed set."]
    count: Annotated[int, "How many."]


@fact(
    level=Level.ERROR,
    stage=Stage.SENDING,
    counter=Counter("relay_holds_total", "Times a destination was held.", ("destination", "code")),
)
class DestinationHeld(Fact):
    """The API refuses the token, the datamart or the endpoint: nothing is sent until it is fixed.

    Nothing is lost and no attempt is counted; Relay is not ready and tries again by itself.
    """

    destination: Annotated[str, "Its name in the settings."] = DEFAULT_DESTINATION
    scope: Annotated[str, "What is meant: `all`, or the route alone (`activity`, `user_point`)."]
    code: Annotated[str, "What came back, as `http_401`."]
    reason: Annotated[str, "What it means."]


@fact(
    level=Level.WARNING,
    stage=Stage.SENDING,
    counter=Counter(
        "relay_outages_total", "Times the API was found down.", ("destination", "code")
    ),
)
class DestinationDown(Fact):
    """The API does not answer, or answers that it cannot: Relay waits and probes."""

    destination: Annotated[str, "Its name in the settings."] = DEFAULT_DESTINATION
    scope: Annotated[str, "What is meant: `all`, or the route alone (`activity`, `user_point`)."]
    code: Annotated[str, "What came back, as `http_503`, `timeout`, `connect`."]
    reason: Annotated[str, "What it says, or why there is no answer."]
    probe_in_s: Annotated[float, "When the next attempt is made."]


@fact(
    level=Level.WARNING,
    stage=Stage.SENDING,
    counter=Counter("relay_throttles_total", "Pauses that the API asked for.", ("destination",)),
)
class DestinationThrottled(Fact):
    """The API asked for a pause; all requests to it wait."""

    destination: Annotated[str, "Its name in the settings."] = DEFAULT_DESTINATION
    scope: Annotated[str, "What is meant: `all`, or the route alone (`activity`, `user_point`)."]
    code: Annotated[str, "What came back, as `http_429`."]
    pause_s: Annotated[float, "How long Relay waits."]


@fact(stage=Stage.SENDING)
class DestinationResumed(Fact):
    """Sending goes on after a hold or an outage."""

    destination: Annotated[str, "Its name in the settings."] = DEFAULT_DESTINATION
    scope: Annotated[str, "What is meant: `all`, or the route alone (`activity`, `user_point`)."]
    after_s: Annotated[float, "How long nothing was delivered."]


@fact(
    stage=Stage.SENDING,
    counter=Counter(
        "relay_troubles_isolated_total",
        "Failed attempts that were about one record or user only.",
        ("destination", "scope", "code"),
    ),
    alike=Alike(by=("destination", "scope", "code"), example="position"),
)
class TroubleIsolated(Fact):
    """The API failed one record, or slowed one user, and accepts others: only that one waits."""

    destination: Annotated[str, "Its name in the settings."] = DEFAULT_DESTINATION
    scope: Annotated[str, "What is meant: `record` or `user`."]
    code: Annotated[str, "What came back, as `http_403`."]
    reason: Annotated[str, "What it says, or why there is no answer."]
    position: Annotated[Position, "Which record, as topic-partition-offset."]


@fact(stage=Stage.SENDING)
class TokenReloaded(Fact):
    """The file with the API token holds another token, which is sent from now on."""

    destination: Annotated[str, "Its name in the settings."] = DEFAULT_DESTINATION


@fact(stage=Stage.SETTLING, closes_interval=True)
class StreamProgress(Fact):
    """What happened since the last line of this kind, and the state now."""

    seconds: Annotated[float, "Since the last line of this kind."]
    received: Annotated[int, "Records read in that time."]
    delivered: Annotated[int, "Records that the API accepted."]
    dead_lettered: Annotated[int, "Records written to the dead-letter topic."]
    skipped: Annotated[int, "Records not sent by choice."]
    requests: Annotated[int, "Attempts over HTTP."]
    retries: Annotated[int, "Attempts that were not the first of their record."]
    partitions: Annotated[int, "Partitions assigned."]
    paused: Annotated[int, "Partitions not read for the moment, because enough is in memory."]
    in_flight: Annotated[int, "Requests under way."]
    waiting: Annotated[int, "Records in memory that wait for their turn."]
    limit: Annotated[int, "Maximum requests under way at the moment."]
    lag: Annotated[int, "Records that are not settled: not read yet, or without a fate."]
    oldest_s: Annotated[float, "Age in memory of the oldest record without a fate."]
    round_trip_p50_ms: Annotated[float, "Half of the requests were answered faster."]
    round_trip_p99_ms: Annotated[float, "All but a hundredth of the requests were answered faster."]
    lateness_p50_s: Annotated[float, "Half of the deliveries came sooner after production."]
    lateness_p99_s: Annotated[float, "All but a hundredth of the deliveries came sooner."]


@fact()
class ShadowDiffers(Fact):
    """The second mapping of a source (`shadow`) makes something else than the one that counts.

    One line for each source between two lines of progress. Nothing of it is sent.
    """

    source: Annotated[str, "The topics of the source, as the settings name them."]
    differing: Annotated[int, "Documents of which they made different things, since the last line."]
    documents: Annotated[int, "Documents that both have mapped, since the start."]
    fields: Annotated[str, "What differs, each with its count since the start."]
