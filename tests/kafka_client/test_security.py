"""Where OAuth tokens come from."""

import asyncio
from urllib.parse import parse_qs

import httpx
import pytest
from aiokafka.errors import AuthenticationFailedError

from relay.kafka_client.endpoint_tokens import EndpointTokens
from relay.kafka_client.policy import ClientCredentials, Sasl, TokenFromFile
from relay.kafka_client.tokens import FileTokens, token_provider

GIVEN = ClientCredentials("https://id.example/token", "relay", "its-secret", "kafka")


class Endpoint(httpx.AsyncBaseTransport):
    """A token endpoint that counts and does what it is told."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def handle_async_request(self, request):
        self.requests.append(request)
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def token(name="t1", **more):
    return httpx.Response(200, json={"access_token": name, **more})


async def test_a_token_is_asked_for_by_the_client_credentials_grant():
    endpoint = Endpoint(token())

    assert await EndpointTokens(GIVEN, endpoint).token() == "t1"

    (request,) = endpoint.requests
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["kafka"],
    }
    assert request.headers["authorization"].startswith("Basic ")


async def test_many_connections_share_one_request():
    endpoint = Endpoint(token(expires_in=3600))
    tokens = EndpointTokens(GIVEN, endpoint)

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(tokens.token()) for _ in range(20)]

    assert {task.result() for task in asked} == {"t1"}
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("life", [{}, {"expires_in": 29}])
async def test_a_token_that_ends_soon_is_not_used_again(life):
    endpoint = Endpoint(token("t1", **life), token("t2", **life))
    tokens = EndpointTokens(GIVEN, endpoint)

    assert [await tokens.token(), await tokens.token()] == ["t1", "t2"]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"error": "invalid_client"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"token": "x"}),
        httpx.Response(200, json=["x"]),
        httpx.Response(200, json={"access_token": "x", "expires_in": "soon"}),
    ],
)
async def test_an_endpoint_that_gives_no_token_is_a_refused_login(answer):
    with pytest.raises(AuthenticationFailedError, match=r"id\.example gave no token") as refusal:
        await EndpointTokens(GIVEN, Endpoint(answer)).token()
    assert "its-secret" not in str(refusal.value)


async def test_an_endpoint_that_does_not_answer_may_do_so_later():
    with pytest.raises(ConnectionError, match=r"token endpoint id\.example"):
        await EndpointTokens(GIVEN, Endpoint(httpx.ConnectError("no"))).token()


async def test_a_token_file_is_read_again_every_time(tmp_path):
    file = tmp_path / "token"
    tokens = FileTokens(file)
    with pytest.raises(AuthenticationFailedError, match="token file"):
        await tokens.token()

    for content in ("t1\n", "t2\n"):
        file.write_text(content)
        assert await tokens.token() == content.strip()


def test_only_oauthbearer_has_a_token_provider(tmp_path):
    assert token_provider(Sasl("PLAIN", "u", "p")) is None
    assert isinstance(
        token_provider(Sasl("OAUTHBEARER", token=TokenFromFile(tmp_path))), FileTokens
    )
    assert isinstance(token_provider(Sasl("OAUTHBEARER", token=GIVEN)), EndpointTokens)


def test_nothing_secret_stands_in_a_repr():
    assert "its-secret" not in repr(GIVEN)
    assert "p4ss" not in repr(Sasl("PLAIN", "u", "p4ss"))
