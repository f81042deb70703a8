"""Facts of the road of membership events."""

from typing import Annotated

from relay.telemetry.facts import Counter, Fact, Level, Stage, fact


@fact()
class MembershipStarted(Fact):
    """Membership events are read, too, by a consumer group of their own."""

    group_id: Annotated[str, "The consumer group."]
    imports: Annotated[str, "What the document imports are called, before the hour."]


@fact(stage=Stage.SENDING)
class MembershipImportStarted(Fact):
    """A file of segment commands was uploaded; its execution is under way."""

    execution: Annotated[str, "The platform's id of the execution."]
    commands: Annotated[int, "Lines of the file."]
    size_bytes: Annotated[int, "Bytes of the file."]


@fact(level=Level.WARNING, stage=Stage.SENDING)
class MembershipImportAdopted(Fact):
    """The answer to an upload was lost; its execution was found by other means."""

    execution: Annotated[str, "The platform's id of the execution."]


@fact(
    stage=Stage.SENDING,
    counter=Counter("relay_membership_imports_total", "Executions that ended.", ("outcome",)),
)
class MembershipImportEnded(Fact):
    """An execution ended."""

    execution: Annotated[str, "The platform's id of the execution."]
    status: Annotated[str, "What the platform calls its end."]
    outcome: Annotated[
        str,
        "`landed`: every line was taken or rejected; `unclear`: nothing says which were "
        "rejected, so they are sent again in smaller files; `failed`: all are sent again.",
    ]
    commands: Annotated[int, "Lines of the file."]
    rejected: Annotated[int, "Lines that the platform counts as rejected."]
    seconds: Annotated[float, "From the writing of the file to its end."]


@fact(
    level=Level.ERROR,
    stage=Stage.SENDING,
    counter=Counter("relay_membership_holds_total", "Files that could not be sent.", ("code",)),
)
class MembershipHeld(Fact):
    """A file cannot be sent: the platform is away, or refuses the token, the datamart or the call.

    Nothing is lost and nothing counts against a record; it is tried again by itself.
    """

    code: Annotated[str, "Name of the error, from a closed set."]
    reason: Annotated[str, "What it means."]
    retry_in_s: Annotated[float, "When the next attempt is made."]


@fact(stage=Stage.SENDING)
class MembershipResumed(Fact):
    """A file was taken again after a hold."""

    after_s: Annotated[float, "How long none was."]


@fact(stage=Stage.SETTLING, closes_interval=True)
class MembershipProgress(Fact):
    """What happened to membership events since the last line of this kind, and the state now."""

    seconds: Annotated[float, "Since the last line of this kind."]
    received: Annotated[int, "Membership events read in that time."]
    delivered: Annotated[int, "Events whose every change was imported."]
    dead_lettered: Annotated[int, "Events written to the dead-letter topic."]
    skipped: Annotated[int, "Membership events not sent by choice, or settled before a restart."]
    commands: Annotated[int, "Lines sent."]
    waiting: Annotated[int, "Members whose change waits for the next file."]
    in_trouble: Annotated[int, "Members whose file failed; they are sent again in smaller files."]
    flying: Annotated[int, "Lines under way."]
    unsettled: Annotated[int, "Events without a fate."]
    lag: Annotated[int, "Records of all kinds that were not read yet."]
    oldest_s: Annotated[float, "How long the oldest event has had no fate."]
