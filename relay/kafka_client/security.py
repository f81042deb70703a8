"""Certificates and passwords, from their files → what a connection to Kafka is opened with."""

import ssl
from pathlib import Path

from relay.errors import SettingsError
from relay.kafka_client.policy import KafkaClientPolicy, Secret, SecretFile, Tls
from relay.secret_file import SecretUnreadable, read_secret


class Credentials:
    """What a connection is opened with, from the files as they are now.

    While they cannot be used, as in the middle of a change, what was good last is kept.
    """

    def __init__(self, policy: KafkaClientPolicy) -> None:
        self._policy = policy
        self._read: tuple[bytes, ...] | None = None
        self.password: str | None = None
        self.context: ssl.SSLContext | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the files; what they hold is looked at when it has changed.

        Raises:
            SettingsError: A file cannot be read or does not hold what it should.
        """
        sasl, tls = self._policy.sasl, self._policy.tls
        read = _contents(tls)
        if sasl is not None and sasl.password is not None:
            self.password = reveal(sasl.password)
        # Certificates are compared by content: a mounted secret is replaced through links.
        if tls is not None and read != self._read:
            self.context = ssl_context(tls)
            self._read = read


def reveal(secret: Secret) -> str:
    """The secret, from its file when it has one.

    Raises:
        SettingsError: The file cannot be read.
    """
    if not isinstance(secret, SecretFile):
        return secret
    try:
        return read_secret(secret.path)
    except SecretUnreadable as error:
        raise SettingsError(f"{secret.setting}: {error}") from None


def ssl_context(tls: Tls) -> ssl.SSLContext:
    """A context that verifies the broker.

    Raises:
        SettingsError: A file cannot be read or does not hold what it should.
    """
    # Verified always; only the name can be left out (`verify_hostname`), for brokers that are
    # reached by an address which their certificate does not hold.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.verify_hostname
    context.verify_mode = ssl.CERT_REQUIRED
    for setting in ("ca_file", "cert_file", "key_file"):
        _check_readable(setting, getattr(tls, setting))
    try:
        if tls.ca_file is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cafile=tls.ca_file)
    except ssl.SSLError as error:
        raise SettingsError(f"kafka.security.ca_file: {_why(error)}") from error
    try:
        if tls.cert_file is not None:
            # A callable, because the default would ask for the password on the terminal.
            password = "" if tls.key_password is None else reveal(tls.key_password)
            context.load_cert_chain(tls.cert_file, tls.key_file, lambda: password)
    except ssl.SSLError as error:
        problem = f"kafka.security.cert_file with key_file: {_why(error)}"
        raise SettingsError(problem, hint="both must be PEM and belong together") from error
    return context


def _contents(tls: Tls | None) -> tuple[bytes, ...]:
    if tls is None:
        return ()
    found = []
    for setting in ("ca_file", "cert_file", "key_file"):
        path = getattr(tls, setting)
        _check_readable(setting, path)
        found.append(b"" if path is None else path.read_bytes())
    password = tls.key_password
    found.append(b"" if password is None else reveal(password).encode())
    return tuple(found)


def _check_readable(setting: str, path: Path | None) -> None:
    if path is None:
        return
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        problem = f"kafka.security.{setting}: {path}: {error.strerror}"
        raise SettingsError(problem) from error


def _why(error: ssl.SSLError) -> str:
    return (error.reason or "not a PEM file").replace("_", " ").lower()
