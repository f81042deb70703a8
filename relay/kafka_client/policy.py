"""Where the cluster is and how to get in: plain values, built by `relay.settings.kafka`."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret that others keep up to date in a file; read for every connection.

    `setting` is the key that names the file, for errors.
    """

    path: Path
    setting: str


Secret = str | SecretFile


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom to trust (None: the system's authorities), and what to show when asked (mTLS)."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: Secret | None = field(default=None, repr=False)
    verify_hostname: bool = True


@dataclass(frozen=True, slots=True)
class TokenFromFile:
    """An OAuth token that somebody else keeps fresh in a file; read for every connection."""

    path: Path


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """An OAuth token from a token endpoint, by the client-credentials grant (RFC 6749, 4.4)."""

    token_url: str
    client_id: str
    client_secret: Secret = field(repr=False)
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Sasl:
    """A login. `mechanism` is Kafka's name; `token` is for OAUTHBEARER, the others for the rest."""

    mechanism: str
    username: str | None = None
    password: Secret | None = field(default=None, repr=False)
    token: TokenFromFile | ClientCredentials | None = None


@dataclass(frozen=True, slots=True)
class KafkaClientPolicy:
    """Where the cluster is and how to get in. Built by `relay.settings.kafka`."""

    bootstrap_servers: str
    client_id: str
    request_timeout_s: float
    metadata_age_max_s: float
    tls: Tls | None = None
    sasl: Sasl | None = None

    @property
    def protocol(self) -> str:
        """Kafka's name for the combination of TLS and login."""
        names = {
            (False, False): "PLAINTEXT",
            (True, False): "SSL",
            (False, True): "SASL_PLAINTEXT",
            (True, True): "SASL_SSL",
        }
        return names[self.tls is not None, self.sasl is not None]
