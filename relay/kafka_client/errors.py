"""aiokafka's exceptions → ours, in one context manager.

Every exception of `aiokafka.errors` stands in exactly one of the groups below; a test reflects
over that module and fails when a new version brings one that does not.
"""

import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import errors as theirs

from relay.errors import KafkaError, KafkaFenced, KafkaRefused, KafkaUnreachable, TopicMissing


class FencedInstanceId(theirs.BrokerResponseError):  # type: ignore[misc] # aiokafka is untyped
    """Another member of the group has our `group_instance_id`. aiokafka 0.14 does not know it."""

    errno = 82
    message = "FENCED_INSTANCE_ID"


theirs.kafka_errors.setdefault(FencedInstanceId.errno, FencedInstanceId)

PASSING: tuple[type[Exception], ...] = (
    theirs.NoBrokersAvailable,
    theirs.NodeNotReadyError,
    theirs.KafkaProtocolError,
    theirs.CorrelationIdError,
    theirs.Cancelled,
    theirs.TooManyInFlightRequests,
    theirs.StaleMetadata,
    theirs.MetadataEmptyBrokerList,
    theirs.KafkaUnavailableError,
    theirs.KafkaTimeoutError,
    theirs.KafkaConnectionError,
    theirs.QuotaViolationError,
    theirs.UnknownError,
    theirs.LeaderNotAvailableError,
    theirs.NotLeaderForPartitionError,
    theirs.RequestTimedOutError,
    theirs.BrokerNotAvailableError,
    theirs.ReplicaNotAvailableError,
    theirs.StaleControllerEpochError,
    theirs.StaleLeaderEpochCodeError,
    theirs.GroupLoadInProgressError,
    theirs.GroupCoordinatorNotAvailableError,
    theirs.NotCoordinatorForGroupError,
    theirs.NotEnoughReplicasError,
    theirs.NotEnoughReplicasAfterAppendError,
    theirs.NotControllerError,
    theirs.KafkaStorageError,
    theirs.ReassignmentInProgress,
    theirs.FetchSessionIdNotFound,
    theirs.InvalidFetchSessionEpoch,
    theirs.ListenerNotFound,
    # The idempotent producer lost its place; a new one is made and the write repeated.
    theirs.ProducerClosed,
    theirs.ProducerFenced,
    theirs.OutOfOrderSequenceNumber,
    theirs.DuplicateSequenceNumber,
    theirs.InvalidProducerEpoch,
    theirs.InvalidProducerIdMapping,
    theirs.UnknownProducerId,
)
"""The cluster cannot do it now and may do it later: `KafkaUnreachable`."""

REFUSING: tuple[type[Exception], ...] = (
    theirs.UnrecognizedBrokerVersion,
    theirs.IncompatibleBrokerVersion,
    theirs.AuthenticationMethodNotSupported,
    theirs.AuthenticationFailedError,
    theirs.UnsupportedCodecError,
    theirs.KafkaConfigurationError,
    theirs.RecordTooLargeError,
    theirs.NoOffsetForPartitionError,
    theirs.OffsetOutOfRangeError,
    theirs.CorruptRecordException,
    theirs.InvalidFetchRequestError,
    theirs.MessageSizeTooLargeError,
    theirs.RecordListTooLargeError,
    theirs.OffsetMetadataTooLargeError,
    theirs.InvalidRequiredAcksError,
    theirs.InconsistentGroupProtocolError,
    theirs.InvalidGroupIdError,
    theirs.InvalidSessionTimeoutError,
    theirs.InvalidCommitOffsetSizeError,
    theirs.TopicAuthorizationFailedError,
    theirs.GroupAuthorizationFailedError,
    theirs.ClusterAuthorizationFailedError,
    theirs.InvalidTimestampError,
    theirs.UnsupportedSaslMechanismError,
    theirs.IllegalSaslStateError,
    theirs.UnsupportedVersionError,
    theirs.TopicAlreadyExistsError,
    theirs.InvalidPartitionsError,
    theirs.InvalidReplicationFactorError,
    theirs.InvalidReplicationAssignmentError,
    theirs.InvalidConfigurationError,
    theirs.InvalidRequestError,
    theirs.UnsupportedForMessageFormatError,
    theirs.PolicyViolationError,
    theirs.SecurityDisabled,
    theirs.OperationNotAttempted,
    theirs.LogDirNotFound,
    theirs.SaslAuthenticationFailed,
    theirs.DelegationTokenAuthDisabled,
    theirs.DelegationTokenNotFound,
    theirs.DelegationTokenOwnerMismatch,
    theirs.DelegationTokenRequestNotAllowed,
    theirs.DelegationTokenAuthorizationFailed,
    theirs.DelegationTokenExpired,
    theirs.InvalidPrincipalType,
    theirs.NonEmptyGroup,
    theirs.GroupIdNotFound,
    theirs.TransactionalIdAuthorizationFailed,
    theirs.InvalidTxnState,
    theirs.InvalidTransactionTimeout,
    theirs.ConcurrentTransactions,
    theirs.TransactionCoordinatorFenced,
)
"""The cluster says no, and goes on saying it until somebody changes something: `KafkaRefused`."""

MISSING: tuple[type[Exception], ...] = (
    theirs.UnknownTopicOrPartitionError,
    theirs.InvalidTopicError,
)
"""There is no such topic: `TopicMissing`."""

MOVED_ON: tuple[type[Exception], ...] = (
    theirs.CommitFailedError,
    theirs.IllegalGenerationError,
    theirs.UnknownMemberIdError,
    theirs.RebalanceInProgressError,
    theirs.MemberIdRequired,
)
"""The group has rebalanced since: whoever commits treats these apart, for all others they pass."""

OURS: tuple[type[Exception], ...] = (
    theirs.IllegalStateError,
    theirs.IllegalArgumentError,
    theirs.IllegalOperation,
    theirs.ConsumerStoppedError,
)
"""We used the client wrongly: a defect, never translated."""

_OURS_FOR: tuple[tuple[tuple[type[BaseException], ...], type[KafkaError]], ...] = (
    ((FencedInstanceId,), KafkaFenced),
    (MISSING, TopicMissing),
    (REFUSING, KafkaRefused),
    ((*PASSING, *MOVED_ON, OSError), KafkaUnreachable),
)

_NOT_ENOUGH = "bring its brokers back, or lower the topic's min.insync.replicas"
_HINTS: dict[type[BaseException], str] = {
    theirs.NotEnoughReplicasError: _NOT_ENOUGH,
    theirs.NotEnoughReplicasAfterAppendError: _NOT_ENOUGH,
    theirs.SaslAuthenticationFailed: "check kafka.security",
    theirs.AuthenticationFailedError: "check kafka.security",
    theirs.UnsupportedSaslMechanismError: "check kafka.security.mechanism",
    theirs.TopicAuthorizationFailedError: "grant the access that is missing (ACLs)",
    theirs.GroupAuthorizationFailedError: "grant READ on the consumer group (ACLs)",
    FencedInstanceId: "another member of the group has the same kafka.group_instance_id: give each "
    "a name of its own, for example with {hostname}",
    theirs.InconsistentGroupProtocolError: "another program uses this group, or an earlier version "
    "of Relay: stop it, or set kafka.group_id to another name",
    theirs.ClusterAuthorizationFailedError: "grant IDEMPOTENT_WRITE on the cluster (ACLs)",
    theirs.MessageSizeTooLargeError: "raise the topic's max.message.bytes",
    theirs.RecordListTooLargeError: "raise the topic's max.message.bytes",
    theirs.RecordTooLargeError: "raise kafka.partition_fetch_bytes_max",
    theirs.InvalidSessionTimeoutError: "the broker does not allow kafka.session_timeout_s",
    theirs.InvalidReplicationFactorError: "too few brokers for dead_letter.replication_factor",
    theirs.UnsupportedCodecError: "reinstall relay with its dependencies",
    theirs.InvalidTopicError: "topic names hold letters, digits, dots, dashes, underscores",
    theirs.UnknownTopicOrPartitionError: "create it, or fix its name",
}


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Whatever goes wrong with Kafka inside leaves as a `KafkaError` whose text begins `what`."""
    try:
        yield
    except Exception as error:
        ours = translation(error, what)
        if ours is None:
            raise
        raise ours from _wrapped(error)


# From the most telling to the least, the first that holds:
#
#     TLS said something              refused, in its words: aiokafka says "connection closed"
#     a kind of the groups above      what that group says, with a hint where there is one
#     a reset, or no connection       unreachable; often a plain client at a TLS listener, or the
#                                     other way round, so the hint asks for the protocol
#     of aiokafka, in no group        unreachable: a new version's error must not end the process
#     a defect of ours, or foreign    None: it goes on as it is
def translation(error: BaseException, what: str) -> KafkaError | None:
    """Our exception for one of aiokafka's or of the network's; None for anything else."""
    error = _wrapped(error)
    refusal = _tls_refusal(error)
    if refusal is not None:
        return KafkaRefused(f"{what}: {refusal}", hint="check kafka.security")
    problem = f"{what}: {reason(error)}"
    hint = _HINTS.get(type(error))
    if isinstance(error, ConnectionResetError | theirs.KafkaConnectionError):
        hint = "does kafka.security.protocol fit the listener?"
    for kinds, ours in _OURS_FOR:
        if isinstance(error, kinds):
            return ours(problem, hint=hint)
    if isinstance(error, theirs.KafkaError) and not isinstance(error, OURS):
        return KafkaUnreachable(problem)
    return None


def denies_access(error: KafkaError) -> bool:
    """Whether an ACL on a topic or a group is the cause: it may be granted again."""
    return isinstance(
        error.__cause__,
        theirs.TopicAuthorizationFailedError | theirs.GroupAuthorizationFailedError,
    )


def denies_group(error: KafkaError) -> bool:
    """Whether it is the group that we may not use."""
    return isinstance(error.__cause__, theirs.GroupAuthorizationFailedError)


def reason(error: BaseException) -> str:
    """What happened, in a few words, without the address book of the client."""
    if isinstance(error, socket.gaierror):
        return "the host name cannot be resolved"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return _of_the_system(error)
    said = str(error.args[0]) if error.args and isinstance(error.args[0], str) else ""
    name = getattr(error, "message", "") or _spaced(type(error).__name__)
    name = name.replace("_", " ").lower()
    return f"{name}: {said.splitlines()[0]}" if said else name


# What asyncio says of a connection that was not made is one of:
#
#     an error with a number, and a text with the address   the system's own words for the number
#     a text with several of them: all addresses of a name  the words for each number, once
#     a text alone: ours, or "connection lost"              as it is
#     nothing                                               its kind
def _of_the_system(error: OSError) -> str:
    numbers = [error.errno] if error.errno else map(int, _ERRNO.findall(str(error)))
    words = dict.fromkeys(os.strerror(number).lower() for number in numbers)
    return ", ".join(words) or str(error) or _spaced(type(error).__name__)


_ERRNO = re.compile(r"\[Errno ([0-9]{1,6})\]")


def _tls_refusal(error: BaseException) -> str | None:
    """What TLS says, also when aiokafka only says that the connection closed."""
    # By what OpenSSL calls it: a certificate we do not trust; an answer that is no TLS at all; an
    # alert about our certificate, whose name depends on the version; anything else.
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"the broker's certificate is not trusted: {seen.verify_message}"
        if isinstance(seen, ssl.SSLError):
            said = (seen.reason or "handshake failed").replace("_", " ").lower()
            if seen.reason == "WRONG_VERSION_NUMBER":
                return f"the listener does not speak TLS ({said})"
            if "CERTIFICATE" in (seen.reason or ""):
                return f"the broker wants another certificate from us, or one at all ({said})"
            return f"TLS: {said}"
        seen = seen.__cause__
    return None


def _wrapped(error: BaseException) -> BaseException:
    """What aiokafka's group coordinator puts as text into an error without a kind."""
    if type(error) is theirs.KafkaError and error.args:
        for kind in _WRAPPED:
            if kind.__name__ in str(error.args[0]):
                found: BaseException = kind()
                return found
    return error


_WRAPPED = (
    FencedInstanceId,
    theirs.TopicAuthorizationFailedError,
    theirs.GroupAuthorizationFailedError,
)


def _spaced(name: str) -> str:
    words = (f" {c.lower()}" if c.isupper() else c for c in name.removesuffix("Error"))
    return "".join(words).strip()
