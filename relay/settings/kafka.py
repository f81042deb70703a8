"""Which cluster, which topics, as whom, and how the consumer group behaves."""

import re
import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from relay.base_url import HttpUrl, is_host
from relay.kafka_client.policy import (
    ClientCredentials,
    KafkaClientPolicy,
    Sasl,
    Secret,
    SecretFile,
    Tls,
    TokenFromFile,
)
from relay.road.consuming.policy import ConsumerPolicy, MissingTopics, OffsetReset
from relay.section import Section
from relay.settings.options import FILE_SUFFIX

TOPIC_CHARACTERS_MAX = 249


def _no_folder(value: str) -> str:
    if value in (".", ".."):
        raise ValueError("Kafka takes no topic of this name")
    return value


TopicName = Annotated[
    str,
    Field(pattern=r"^[a-zA-Z0-9._-]+$", max_length=TOPIC_CHARACTERS_MAX),
    AfterValidator(_no_folder),
]


def _on_one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must hold no control characters, such as a line end")
    return value


KafkaName = Annotated[str, Field(min_length=1), AfterValidator(_on_one_line)]
"""A name that Relay, brokers and their tools show in logs and tables."""


class Protocol(StrEnum):
    """Kafka's names for the combinations of TLS and login."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class Mechanism(StrEnum):
    """How to log in."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"
    OAUTHBEARER = "OAUTHBEARER"


def _secret(section: Section, name: str, setting: str) -> Secret | None:
    file, value = getattr(section, name + FILE_SUFFIX), getattr(section, name)
    if file is not None:
        return SecretFile(file, f"kafka.security.{setting}")
    return None if value is None else str(value.get_secret_value())


def _brokers(value: str) -> str:
    """`host:port`, separated by commas. Messages repeat no part of it: it may be a secret."""
    for broker in value.split(","):
        if "://" in broker:
            raise ValueError("must be host:port, without a scheme such as kafka:// in front")
        found = _BROKER.fullmatch(broker.strip())
        if found is None:
            raise ValueError("must be host:port; commas separate several")
        if not is_host(found[1]):
            raise ValueError("a host name has parts of 1 to 63 characters, with dots between")
        if not 0 < int(found[2] or 1) < _PORTS:
            raise ValueError("a port must be a number from 1 to 65535")
    return value


_BROKER = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]]+)(?::([0-9]{1,9}))?")
_PORTS = 65_536


class OAuthSettings(Section):
    """Where tokens for `OAUTHBEARER` come from: a file, or a token endpoint."""

    token_file: Path | None = Field(
        None,
        description="File with a token that others keep fresh; read for each connection.",
    )
    token_url: HttpUrl | None = Field(
        None,
        description="Token endpoint to ask by the client-credentials grant.",
    )
    client_id: str | None = Field(None, description="Who asks at the token endpoint.")
    client_secret: SecretStr | None = Field(None, description="The secret of `client_id`.")
    client_secret_file: Path | None = Field(
        None, description="A file that holds it; read again for every token."
    )
    scope: str | None = Field(None, description="Scope to ask for, where the endpoint wants one.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.token_file is None) == (self.token_url is None):
            raise ValueError("give one of token_file and token_url")
        if self.token_url and not (self.client_id and self._secret):
            raise ValueError("token_url needs client_id and client_secret")
        return self

    @property
    def _secret(self) -> Secret | None:
        return _secret(self, "client_secret", "oauth.client_secret_file")

    def source(self) -> TokenFromFile | ClientCredentials:
        """The policy of the token provider."""
        if self.token_file is not None:
            return TokenFromFile(self.token_file)
        secret = self._secret
        if self.token_url is None or self.client_id is None or secret is None:
            raise AssertionError("the validator lets nothing else pass")
        return ClientCredentials(self.token_url, self.client_id, secret, self.scope)


class SecuritySettings(Section):
    """How to get into the cluster."""

    protocol: Protocol = Field(
        Protocol.PLAINTEXT, description="Whether to encrypt (`SSL`) and to log in (`SASL`)."
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of the authority to trust; the system's authorities otherwise. This "
        "and the other files are read again when they change, for the next connection.",
    )
    cert_file: Path | None = Field(
        None, description="PEM file of our certificate, for brokers that ask for one (mTLS)."
    )
    key_file: Path | None = Field(None, description="PEM file of the key of `cert_file`.")
    key_password: SecretStr | None = Field(None, description="Password of `key_file`.")
    key_password_file: Path | None = Field(
        None, description="A file that holds it; read again for every connection."
    )
    verify_hostname: bool = Field(
        True, description="Whether the broker's certificate must name the host we call."
    )
    mechanism: Mechanism = Field(Mechanism.SCRAM_SHA_512, description="How to log in with SASL.")
    username: str | None = Field(None, description="Who logs in, for PLAIN and SCRAM.")
    password: SecretStr | None = Field(None, description="The password of `username`.")
    password_file: Path | None = Field(
        None,
        description="A file that holds it. It is read again for every connection, so a password "
        "can be changed without a restart.",
    )
    oauth: OAuthSettings | None = Field(None, description="Tokens for OAUTHBEARER.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if not self._encrypts and (self.ca_file or self.cert_file):
            raise ValueError(f"{self.protocol} uses no certificates; did you mean SSL or SASL_SSL?")
        if not self._logs_in:
            if self.username or self._password or self.oauth:
                raise ValueError(f"{self.protocol} has no login; did you mean SASL_SSL?")
        elif self.mechanism is Mechanism.OAUTHBEARER:
            if self.oauth is None:
                raise ValueError("OAUTHBEARER needs oauth")
        elif not (self.username and self._password):
            raise ValueError(f"{self.mechanism} needs username and password")
        return self

    @property
    def _encrypts(self) -> bool:
        return self.protocol in (Protocol.SSL, Protocol.SASL_SSL)

    @property
    def _logs_in(self) -> bool:
        return self.protocol in (Protocol.SASL_PLAINTEXT, Protocol.SASL_SSL)

    @property
    def _password(self) -> Secret | None:
        return _secret(self, "password", "password_file")

    def tls(self) -> Tls | None:
        """The policy for certificates."""
        if not self._encrypts:
            return None
        return Tls(
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
            key_password=_secret(self, "key_password", "key_password_file"),
            verify_hostname=self.verify_hostname,
        )

    def sasl(self) -> Sasl | None:
        """The policy for the login."""
        if not self._logs_in:
            return None
        return Sasl(
            mechanism=self.mechanism.value,
            username=self.username,
            password=self._password,
            token=None if self.oauth is None else self.oauth.source(),
        )


class KafkaSettings(Section):
    """The cluster that events come from, and where dead letters go."""

    bootstrap_servers: Annotated[str, AfterValidator(_brokers)] = Field(
        "localhost:9092",
        min_length=1,
        description="Brokers to begin with, as `host:port`, separated by commas.",
    )
    topics: tuple[TopicName, ...] = Field(
        ("app-events",), description="Topics to read. Leave it out when `topic_pattern` is given."
    )
    topic_pattern: str | None = Field(
        None,
        min_length=1,
        description="Regular expression; topics whose whole name matches are read, new ones too "
        "as they appear. Dead-letter topics never match.",
    )
    group_id: KafkaName = Field("relay", description="Consumer group to join.")
    group_instance_id: KafkaName | None = Field(
        None,
        max_length=TOPIC_CHARACTERS_MAX,
        description="A name for this member that survives restarts (static membership): a "
        "restart within `session_timeout_s` then moves no partitions, so raise that to what a "
        "restart takes. Unique in the group; `{hostname}` in it stands for the name of the host, "
        "as of a pod of a StatefulSet.",
    )
    client_id: KafkaName = Field("relay", description="Our name in the broker's logs.")
    security: SecuritySettings = Field(
        SecuritySettings(), description="How to get into the cluster."
    )
    auto_offset_reset: OffsetReset = Field(
        OffsetReset.EARLIEST,
        description="Where to begin when the group has no offset yet, or one that the log no "
        "longer holds: `earliest` or `latest`. `latest` passes over what is there.",
    )
    missing_topics: MissingTopics = Field(
        MissingTopics.FAIL,
        description="What to do at the start about a topic that does not exist: `fail`, or "
        "`wait` until somebody creates it.",
    )
    isolation_level: Annotated[str, Field(pattern=r"^read_(un)?committed$")] = Field(
        "read_committed",
        description="`read_committed` never delivers what a producer's transaction took back.",
    )
    start_timeout_s: float = Field(
        60.0,
        ge=0,
        le=3600,
        description="How long to wait at the start for a cluster that does not answer.",
    )
    request_timeout_s: float = Field(
        30.0, ge=1, le=300, description="How long a broker may take to answer a request."
    )
    session_timeout_s: float = Field(
        15.0,
        ge=1,
        le=1800,
        description="After how long without a sign of life the group gives our partitions away. "
        "Those of a member that died wait as long, and no others.",
    )
    rebalance_timeout_s: float = Field(
        45.0,
        ge=5,
        le=3600,
        description="How long the group waits for us to hand partitions over; must be longer "
        "than draining them may take.",
    )
    poll_interval_max_s: float = Field(
        300.0,
        ge=10,
        le=86400,
        description="After how long without polling we leave the group by ourselves.",
    )
    metadata_age_max_s: float = Field(
        60.0, ge=1, le=3600, description="How soon new topics and partitions are noticed."
    )
    new_partition_wait_s: float = Field(
        900.0,
        ge=0,
        le=86400,
        description="How long a partition that was added to a topic may wait until the group has "
        "passed what the old partitions held: the keys of some users move to it. 0 reads it at "
        "once. It never waits with `delivery.order_by` `partition` or `none`.",
    )
    fetch_wait_ms: int = Field(
        100,
        ge=1,
        le=10_000,
        description="How long a broker holds back an answer while there is nothing new.",
    )
    partition_fetch_bytes_max: int = Field(
        1_048_576,
        ge=1024,
        le=104_857_600,
        description="Most bytes fetched ahead for each partition (a larger single record passes).",
    )
    fetch_bytes_max: int = Field(
        16_777_216,
        ge=1024,
        le=524_288_000,
        description="Most bytes of one answer of one broker.",
    )

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.topic_pattern is not None:
            if "topics" in self.model_fields_set:
                raise ValueError("give topics or topic_pattern, not both")
            try:
                re.compile(self.topic_pattern)
            except re.error as error:
                raise ValueError(f"topic_pattern is not a regular expression: {error}") from error
        elif not self.topics:
            raise ValueError("topics is empty")
        if self.rebalance_timeout_s > self.poll_interval_max_s:
            raise ValueError("rebalance_timeout_s must not exceed poll_interval_max_s")
        return self

    def client(self) -> KafkaClientPolicy:
        """The policy of every client of this cluster."""
        return KafkaClientPolicy(
            bootstrap_servers=self.bootstrap_servers,
            client_id=self.client_id,
            request_timeout_s=self.request_timeout_s,
            metadata_age_max_s=self.metadata_age_max_s,
            tls=self.security.tls(),
            sasl=self.security.sasl(),
        )

    def consumer(self, dead_letter_topic: str) -> ConsumerPolicy:
        """The policy of the consumer; `dead_letter_topic` is what a pattern must not match."""
        pattern = self.topic_pattern
        return ConsumerPolicy(
            client=self.client(),
            topics=() if pattern else self.topics,
            topic_pattern=pattern,
            dead_letter_topic=dead_letter_topic,
            group_id=self.group_id,
            group_instance_id=self._instance(),
            auto_offset_reset=self.auto_offset_reset,
            missing_topics=self.missing_topics,
            isolation_level=self.isolation_level,
            start_timeout_s=self.start_timeout_s,
            session_timeout_s=self.session_timeout_s,
            keeps_partitions=True,
            shares_rate=False,
            rebalance_timeout_s=self.rebalance_timeout_s,
            poll_interval_max_s=self.poll_interval_max_s,
            new_partition_wait_s=self.new_partition_wait_s,
            fetch_wait_ms=self.fetch_wait_ms,
            partition_fetch_bytes_max=self.partition_fetch_bytes_max,
            fetch_bytes_max=self.fetch_bytes_max,
        )

    def _instance(self) -> str | None:
        if self.group_instance_id is None:
            return None
        return self.group_instance_id.replace("{hostname}", socket.gethostname())
