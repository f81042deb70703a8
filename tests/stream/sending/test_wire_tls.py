"""The wire over TLS, HTTP/2 and proxies, the same for both implementations."""

import asyncio
import base64
import dataclasses
import ssl
import sys
from pathlib import Path

import pytest

from relay.errors import ExitStatus, SettingsError
from relay.model import NoAnswer
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.token import StaticToken
from relay.stream.sending.wire import WireKind, WirePolicy
from tests.support.certificates import CertificateAuthority, Identity
from tests.support.h2_server import h2_server
from tests.support.proxy import proxy_server
from tests.support.raw_http import raw_server
from tests.support.wires import POST, TOKEN, assert_no_answer, wire_to


@pytest.fixture(scope="module")
def ca(tmp_path_factory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def server_identity(ca) -> Identity:
    return ca.issue("localhost")


def server_context(identity: Identity, *, clients: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity.cert, identity.key)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
def tls(server_identity) -> ssl.SSLContext:
    return server_context(server_identity)


async def test_an_authority_of_ones_own_can_be_trusted(kind, ca, tls):
    async with (
        raw_server(context=tls) as server,
        wire_to(server.url, kind, ca_file=ca.cert) as wire,
    ):
        assert [(await wire.send(POST)).status for _ in range(3)] == [200] * 3
        assert server.connections == 1


async def test_a_certificate_nobody_vouches_for_is_connect_and_says_so(kind, tls):
    async with raw_server(context=tls) as server, wire_to(server.url, kind) as wire:
        assert_no_answer(await wire.send(POST), NoAnswer.CONNECT, "certificate")
        assert server.requests == []


async def test_a_certificate_for_another_name_is_connect_and_says_so(kind, ca, tls):
    async with raw_server(context=tls) as server:
        url = f"https://127.0.0.2:{server.port}"
        async with wire_to(url, kind, ca_file=ca.cert) as wire:
            listening = await asyncio.start_server(server.serve, "127.0.0.2", server.port, ssl=tls)
            async with listening:
                answer = await wire.send(POST)
        assert_no_answer(answer, NoAnswer.CONNECT, "certificate")


async def test_a_server_that_does_not_speak_tls_is_connect(kind, ca):
    async def not_tls(reader, writer) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(not_tls, "127.0.0.1", 0) as plain:
        url = f"https://127.0.0.1:{plain.sockets[0].getsockname()[1]}"
        async with wire_to(url, kind, ca_file=ca.cert) as wire:
            assert_no_answer(await wire.send(POST), NoAnswer.CONNECT, "tls", "ssl", "corrupt")


@pytest.mark.parametrize("one_file", [False, True])
async def test_a_client_certificate_is_shown(kind, ca, server_identity, one_file):
    client = ca.issue("relay-client")
    files = (
        {"client_cert_file": client.both}
        if one_file
        else {"client_cert_file": client.cert, "client_key_file": client.key}
    )
    context = server_context(server_identity, clients=ca.cert)
    async with (
        raw_server(context=context) as server,
        wire_to(server.url, kind, ca_file=ca.cert, **files) as wire,
    ):
        assert (await wire.send(POST)).status == 200


async def test_without_the_client_certificate_there_is_no_answer(kind, ca, server_identity):
    context = server_context(server_identity, clients=ca.cert)
    async with (
        raw_server(context=context) as server,
        wire_to(server.url, kind, ca_file=ca.cert) as wire,
    ):
        answer = await wire.send(POST)
        # In TLS 1.3 the client is done before the server looks: the refusal meets the request.
        assert answer.no_answer in (NoAnswer.CONNECT, NoAnswer.BROKEN)
        assert answer.detail
        assert server.requests == []


async def test_http2_is_spoken_where_the_server_offers_it(kind, ca, tls):
    async with (
        h2_server(tls) as server,
        wire_to(server.url, kind, ca_file=ca.cert, http2=True) as wire,
    ):
        for _ in range(5):
            answer = await wire.send(POST)
            assert (answer.status, answer.body) == (200, b'{"status":"ok"}')
            assert answer.headers["retry-after"] == "5"
        assert server.connections == 1
        assert [seen[b":path"] for seen in server.requests] == [POST.path.encode()] * 5
        assert {seen[b"authorization"] for seen in server.requests} == {TOKEN.encode()}


async def test_with_http2_a_server_that_has_only_http1_is_spoken_to_in_http1(kind, ca, tls):
    async with (
        raw_server(context=tls) as server,
        wire_to(server.url, kind, ca_file=ca.cert, http2=True) as wire,
    ):
        assert (await wire.send(POST)).status == 200


async def test_requests_go_through_the_proxy_with_its_own_credentials(kind):
    async with raw_server() as server, proxy_server() as proxy:
        url = f"http://user:pa%24s@127.0.0.1:{proxy.port}"
        async with wire_to(server.url, kind, proxy_url=url) as wire:
            assert (await wire.send(POST)).status == 200
        assert proxy.targets == [server.url + POST.path]
        expected = "Basic " + base64.b64encode(b"user:pa$s").decode()
        assert proxy.authorizations == [expected]
        assert "proxy-authorization" not in server.requests[0].headers


async def test_a_proxy_gets_a_tunnel_for_https_and_sees_no_token(kind, ca, tls):
    async with raw_server(context=tls) as server, proxy_server() as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        async with wire_to(server.url, kind, proxy_url=url, ca_file=ca.cert) as wire:
            assert (await wire.send(POST)).status == 200
        assert proxy.targets == [f"127.0.0.1:{server.port}"]
        assert TOKEN.encode() not in proxy.heard


async def test_a_proxy_that_refuses_is_connect_and_its_password_stays_secret(kind, ca, tls):
    async with raw_server(context=tls) as server, proxy_server(refuse=True) as proxy:
        url = f"http://user:proxy-password@127.0.0.1:{proxy.port}"
        async with wire_to(server.url, kind, proxy_url=url, ca_file=ca.cert) as wire:
            answer = await wire.send(POST)
            assert_no_answer(answer, NoAnswer.CONNECT, "407", "proxy", "tunnel")
            assert "proxy-password" not in answer.detail
            assert "proxy-password" not in repr(wire) + repr(vars(wire))
        assert server.connections == 0


@pytest.mark.parametrize("setting", ["ca_file", "client_cert_file", "client_key_file"])
@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_certificate_file_that_is_of_no_use_is_named_at_the_start(
    kind, ca, tmp_path, setting, content
):
    path = tmp_path / "wrong.pem"
    if content is not None:
        path.write_text(content)
    policy = WirePolicy("https://localhost", StaticToken(TOKEN), kind=kind)
    changes = {setting: path}
    if setting == "client_key_file":
        changes["client_cert_file"] = ca.issue("relay-client").cert
    with pytest.raises(SettingsError) as raised:
        open_wire(dataclasses.replace(policy, **changes))
    assert raised.value.exit_status is ExitStatus.SETTINGS
    assert "\n" not in str(raised.value)
    assert "tracking.client_cert_file" in str(raised.value) or setting in str(raised.value)


def test_http2_over_httpx_without_its_package_is_a_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "h2", None)
    policy = WirePolicy("https://localhost", StaticToken(TOKEN), kind=WireKind.HTTPX, http2=True)
    with pytest.raises(SettingsError, match=r"mics-relay\[http2\]"):
        open_wire(policy)
