"""Certificates and logins → what aiokafka wants: an `ssl.SSLContext`, a source of OAuth tokens."""

import asyncio
import ssl
from pathlib import Path

import httpx
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from relay.errors import SettingsError
from relay.kafka_client.policy import ClientCredentials, Sasl, Tls, TokenFile

_TOKEN_TIMEOUT_S = 10.0
_TOKEN_MARGIN_S = 30.0
"""A cached token that ends sooner is not used: the broker's clock may be ahead of ours."""


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
            context.load_cert_chain(tls.cert_file, tls.key_file, lambda: tls.key_password or "")
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
        form = {"grant_type": "client_credentials"}
        if given.scope is not None:
            form["scope"] = given.scope
        try:
            async with httpx.AsyncClient(
                transport=self._transport, timeout=_TOKEN_TIMEOUT_S
            ) as client:
                answer = await client.post(
                    given.token_url, data=form, auth=(given.client_id, given.client_secret)
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
