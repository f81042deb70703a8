"""OAuth tokens for Kafka from a token endpoint, by client credentials."""

import asyncio

import httpx
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from relay.errors import SettingsError
from relay.kafka_client.policy import ClientCredentials
from relay.kafka_client.security import reveal

_TOKEN_TIMEOUT_S = 10.0  # a connection to the broker waits for it meanwhile
_TOKEN_MARGIN_S = 30.0
"""A cached token that ends sooner is not used: the broker's clock may be ahead of ours."""


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
        # What it says to aiokafka:
        #
        #     no answer                    a connection error: tried again
        #     an answer without a token,   a refused login: told as such, with the status, never the
        #                                  body,
        #     or a refusal                 which may repeat what was sent
        except httpx.HTTPError as error:
            raise ConnectionError(
                f"no answer from the token endpoint {_host(given.token_url)} "
                f"({type(error).__name__})"
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
