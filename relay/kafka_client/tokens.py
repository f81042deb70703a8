"""OAuth tokens for Kafka → what aiokafka asks for one: from a file, or from an endpoint."""

from pathlib import Path

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from relay.kafka_client.policy import ClientCredentials, Sasl, TokenFromFile
from relay.secret_file import SecretUnreadable, read_secret


def token_provider(sasl: Sasl) -> AbstractTokenProvider | None:
    """The source of tokens for OAUTHBEARER; None for every other mechanism."""
    match sasl.token:
        case TokenFromFile(path):
            return FileTokens(path)
        case ClientCredentials():
            # Only where it is used: httpx takes a tenth of a second to import.
            from relay.kafka_client.endpoint_tokens import EndpointTokens  # noqa: PLC0415

            return EndpointTokens(sasl.token)
        case None:
            return None


class FileTokens(AbstractTokenProvider):  # type: ignore[misc] # aiokafka is untyped
    """Reads the token from its file whenever a connection is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """The token as the file holds it now.

        Raises:
            AuthenticationFailedError: It cannot be read; tried again with the next connection.
        """
        try:
            return read_secret(self._path).strip()
        except SecretUnreadable as error:
            # The only kind of exception that aiokafka treats as a refused login.
            raise AuthenticationFailedError(f"the token file cannot be read: {error}") from error
