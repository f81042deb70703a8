"""Facts of the process as a whole."""

from typing import Annotated

from relay.telemetry.facts import Fact, Level, fact


@fact()
class RelayStarted(Fact):
    """The process begins; nothing has been read or sent yet."""

    version: Annotated[str, "Version of Relay."]
    group_id: Annotated[str, "Kafka consumer group."]
    topics: Annotated[str, "Topics or pattern that is read."]
    destination: Annotated[str, "Base address of the tracking API."]
    admin: Annotated[str, "Address of the admin port."]


@fact()
class WorkerStarted(Fact):
    """A worker process was started."""

    worker: Annotated[int, "Its number, from 0; its admin port is that much higher."]
    pid: Annotated[int, "Its process id."]


@fact(level=Level.ERROR)
class WorkerEnded(Fact):
    """A worker process ended without being asked to."""

    worker: Annotated[int, "Its number."]
    status: Annotated[int, "Its exit status; negative: the signal that killed it."]
    restart_in_s: Annotated[float, "When it is started again; 0: not, and the others end too."]


@fact()
class SettingsChanged(Fact):
    """The settings file has other destinations or routes; they hold now, without a restart."""

    destinations: Annotated[str, "Names of the destinations that are new; empty where none is."]


@fact(level=Level.WARNING)
class SettingsNotTaken(Fact):
    """The settings file has changed, and the settings that were read before go on."""

    reason: Annotated[str, "What is wrong in the file, or the names of what needs a restart."]
