"""Certificates and logins → what aiokafka wants: an `ssl.SSLContext`, a source of OAuth tokens."""

import asyncio
import ssl
from pathlib import Path

import httpx
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from relay.errors import SettingsError
from relay.kafka_client.policy import (
    ClientCredentials,
    KafkaClientPolicy,
    Sasl,
    Secret,
    SecretFile,
    Tls,
    TokenFile,
)
from relay.secret_file import SecretUnreadable, read_secret

_TOKEN_TIMEOUT_S = 10.0
_TOKEN_MARGIN_S = 30.0
"""A cached token that ends sooner is not used: the broker's clock may be ahead of ours."""


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


def token_provider(sasl: Sasl) -> AbstractTokenProvider | None:
    """The source of tokens for OAUTHBEARER; None for every other mechanism."""
    match sasl.token:
        case TokenFile(path):
            return FileTokens(path)
        case ClientCredentials():
            return EndpointTokens(sasl.token)
        case None:
            return None


class FileTokens(AbstractTokenProvider):  # type: ignore[misc] # aiokafka is untyped
    """Reads the token from its file whenever a connection is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """The token as the file holds it now."""
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            # The only kind of exception that aiokafka treats as a refused login.
            raise AuthenticationFailedError(
                f"the token file {self._path} cannot be read: {type(error).__name__}"
            ) from error


class EndpointTokens(AbstractTokenProvider):  # type: ignore[misc] # aiokafka is untyped
    """Fetches tokens from a token endpoint and keeps one until shortly before it ends."""

    def __init__(
        self, credentials: ClientCredentials, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._credentials = credentials
        self._transport = transport
        self._token = ""
        self._until = 0.0
        # Many connections open at once when a cluster comes back: one asks, the others wait.
        self._one_at_a_time = asyncio.Lock()

    async def token(self) -> str:
        """The token at hand, or a new one when that ends soon."""
        loop = asyncio.get_running_loop()
        async with self._one_at_a_time:
            if loop.time() >= self._until:
                self._token, life_s = await self._fetch()
                self._until = loop.time() + life_s - _TOKEN_MARGIN_S
            return self._token

    async def _fetch(self) -> tuple[str, float]:
        given = self._credentials
        try:
            secret = reveal(given.client_secret)
        except SettingsError as error:
            raise AuthenticationFailedError(error.problem) from error
        form = {"grant_type": "client_credentials"}
        if given.scope is not None:
            form["scope"] = given.scope
        try:
            async with httpx.AsyncClient(
                transport=self._transport, timeout=_TOKEN_TIMEOUT_S, trust_env=False
            ) as client:
                answer = await client.post(
                    given.token_url, data=form, auth=(given.client_id, secret)
                )
        except httpx.HTTPError as error:
            raise ConnectionError(
                f"token endpoint {_host(given.token_url)}: {type(error).__name__}"
            ) from error
        try:
            if answer.is_success:
                content = answer.json()
                return str(content["access_token"]), float(content.get("expires_in", 0))
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise AuthenticationFailedError(
            f"token endpoint {_host(given.token_url)} gave no token: HTTP {answer.status_code}"
        )


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


def _host(url: str) -> str:
    return httpx.URL(url).host


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
