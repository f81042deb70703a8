"""Everything that can stop a command, and the exit status each cause has.

An exception here means that this process cannot keep its promise or was asked for something
impossible; what happens to one record is never an exception but a value (`relay.model`).

    RelayError                    exit  what to do
    ├─ SettingsError               3    fix the file or the variable it names
    ├─ KafkaError                       (edges translate aiokafka's exceptions into these)
    │  ├─ KafkaUnreachable         4    check address, network, that the broker runs
    │  ├─ KafkaRefused             5    check credentials, certificates, ACLs
    │  ├─ KafkaFenced             12    give each member a group_instance_id of its own
    │  └─ TopicMissing             6    create the topic or fix its name
    ├─ DestinationError            7    the API cannot be reached, or refuses the token
    ├─ InputError                  8    a file or line of input is not usable
    ├─ DrainIncomplete             9    stopped before all was settled; a restart resumes
    ├─ CommitIncomplete           11    stopped before all was committed; a restart repeats some
    ├─ SegmentStopped             20    too many would leave: look, then allow it
    ├─ SegmentBusy                21    another sync of this segment runs: wait for it
    ├─ LocalStateError            22    disk full, or a ledger that this version cannot use
    ├─ ExportError                23    the export failed, expired or is not there: run again
    └─ ImportFailed               24    the platform did not take the import: run again

The last five stand next to what raises them: relay.segments.errors, relay.apis.errors, relay.disk.
"""

import traceback
from collections.abc import Iterator
from enum import IntEnum


class ExitStatus(IntEnum):
    """What `relay` exits with. Documented in docs/OPERATIONS.md; a test holds the two together."""

    OK = 0
    BUG = 1
    USAGE = 2
    SETTINGS = 3
    KAFKA_UNREACHABLE = 4
    KAFKA_REFUSED = 5
    TOPIC_MISSING = 6
    DESTINATION = 7
    INPUT = 8
    DRAIN_INCOMPLETE = 9
    FINDINGS = 10
    COMMIT_INCOMPLETE = 11
    KAFKA_FENCED = 12
    SEGMENT_STOPPED = 20
    SEGMENT_BUSY = 21
    LOCAL_STATE = 22
    SEGMENT_EXPORT = 23
    SEGMENT_IMPORT = 24
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141


class RelayError(Exception):
    """What is wrong, where, what to do: one line without secrets or personal data."""

    exit_status = ExitStatus.BUG
    restart_helps = True
    """Whether what failed may be started again, with nothing changed, and work."""

    def __init__(self, problem: str, *, hint: str | None = None) -> None:
        super().__init__(problem if hint is None else f"{problem} ({hint})")
        self.problem = problem
        self.hint = hint


def install(extra: str) -> str:
    """The hint for a package that is not installed: Relay is installed from its own folder."""
    return f"in Relay's own folder: pip install '.[{extra}]'"


class SettingsError(RelayError):
    """A setting is unknown, missing, malformed or contradicts another one."""

    exit_status = ExitStatus.SETTINGS
    restart_helps = False


class KafkaError(RelayError):
    """The broker and this process do not get along."""

    exit_status = ExitStatus.KAFKA_UNREACHABLE

    @property
    def code(self) -> str:
        """The name of what caused it, from a closed set: good for a metric label."""
        return type(self.__cause__ or self).__name__.removesuffix("Error")


class KafkaUnreachable(KafkaError):
    """No broker answers at the address that was given."""


class KafkaRefused(KafkaError):
    """The broker answers but refuses the login, the certificate or the operation."""

    exit_status = ExitStatus.KAFKA_REFUSED


class KafkaFenced(KafkaError):
    """A newer member of the group has our name, and the partitions: this one must not go on."""

    exit_status = ExitStatus.KAFKA_FENCED
    restart_helps = False


class TopicMissing(KafkaError):
    """A topic that was asked for does not exist on the cluster."""

    exit_status = ExitStatus.TOPIC_MISSING


class DestinationError(RelayError):
    """The API cannot be reached, or does not accept the token or the datamart."""

    exit_status = ExitStatus.DESTINATION


class InputError(RelayError):
    """Input given to a command cannot be used."""

    exit_status = ExitStatus.INPUT


class DrainIncomplete(RelayError):
    """The drain deadline passed with records unsettled; they will be sent again after a restart."""

    exit_status = ExitStatus.DRAIN_INCOMPLETE
    restart_helps = False


class CommitIncomplete(RelayError):
    """All was settled, and Kafka did not take the last commits: some is sent again."""

    exit_status = ExitStatus.COMMIT_INCOMPLETE
    restart_helps = False


def sole(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of what ended several tasks, what matters: ours before the consequences it had in others."""
    # When one task fails, its group cancels the others, and some of these fail while they end. The
    # error that was written for people is the cause as a rule; without one the first is.
    leaves = list(_leaves(group))
    ours = [error for error in leaves if isinstance(error, RelayError)]
    return (ours or leaves)[0]


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def trace(error: BaseException) -> tuple[str, ...]:
    """Where an exception came from, outermost first: `module:line function`.

    Neither its text nor a line of the code's values: an exception's text may hold data.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    return tuple(f"{_module(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames)


def _module(filename: str) -> str:
    """The file's path from its package on: where it is installed is nobody's business."""
    parts = filename.replace("\\", "/").split("/")
    for root in ("relay", "site-packages"):
        if root in parts:
            at = len(parts) - 1 - parts[::-1].index(root)
            return "/".join(parts[at if root == "relay" else at + 1 :])
    return parts[-1]


_FRAMES_MAX = 20  # the innermost: the outer ones are the same for every event
