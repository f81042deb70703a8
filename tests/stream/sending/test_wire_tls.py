"""The wire over TLS, the same for both implementations; HTTP/2 and proxies, which only one has."""

import asyncio
import base64
import ssl
import sys
from pathlib import Path

import pytest

from relay.errors import ExitStatus, SettingsError
from relay.model import NoAnswer
from relay.stream.sending import tls as tls_files
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.token import StaticToken
from relay.stream.sending.wire import WireKind, WirePolicy
from tests.support.certificates import CertificateAuthority, Identity
from tests.support.h2_server import h2_server
from tests.support.proxy import proxy_server
from tests.support.raw_http import Exchange, raw_server
from tests.support.wires import POST, TOKEN, assert_no_answer, wire_to

HTTPX = WireKind.HTTPX


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


async def test_http2_is_spoken_where_the_server_offers_it(ca, tls):
    async with (
        h2_server(tls) as server,
        wire_to(server.url, HTTPX, ca_file=ca.cert, http2=True) as wire,
    ):
        for _ in range(5):
            answer = await wire.send(POST)
            assert (answer.status, answer.body) == (200, b'{"status":"ok"}')
            assert answer.headers["retry-after"] == "5"
        assert server.connections == 1
        assert [seen[b":path"] for seen in server.requests] == [POST.path.encode()] * 5
        assert {seen[b"authorization"] for seen in server.requests} == {TOKEN.encode()}


async def test_with_http2_a_server_that_has_only_http1_is_spoken_to_in_http1(ca, tls):
    async with (
        raw_server(context=tls) as server,
        wire_to(server.url, HTTPX, ca_file=ca.cert, http2=True) as wire,
    ):
        assert (await wire.send(POST)).status == 200


async def test_requests_go_through_the_proxy_with_its_own_credentials():
    async with raw_server() as server, proxy_server() as proxy:
        url = f"http://user:pa%24s@127.0.0.1:{proxy.port}"
        async with wire_to(server.url, HTTPX, proxy=url) as wire:
            assert (await wire.send(POST)).status == 200
        assert proxy.targets == [server.url + POST.path]
        expected = "Basic " + base64.b64encode(b"user:pa$s").decode()
        assert proxy.authorizations == [expected]
        assert "proxy-authorization" not in server.requests[0].headers


async def test_a_proxy_gets_a_tunnel_for_https_and_sees_no_token(ca, tls):
    async with raw_server(context=tls) as server, proxy_server() as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        async with wire_to(server.url, HTTPX, proxy=url, ca_file=ca.cert) as wire:
            assert (await wire.send(POST)).status == 200
        assert proxy.targets == [f"127.0.0.1:{server.port}"]
        assert TOKEN.encode() not in proxy.heard


async def test_a_proxy_that_refuses_is_connect_and_its_password_stays_secret(ca, tls):
    async with raw_server(context=tls) as server, proxy_server(refuse=True) as proxy:
        url = f"http://user:proxy-password@127.0.0.1:{proxy.port}"
        async with wire_to(server.url, HTTPX, proxy=url, ca_file=ca.cert) as wire:
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
    changes = {setting: path}
    if setting == "client_key_file":
        changes["client_cert_file"] = ca.issue("relay-client").cert
    with pytest.raises(SettingsError) as raised:
        open_wire(
            WirePolicy(base_url="https://localhost", wire=kind, **changes), StaticToken(TOKEN)
        )
    assert raised.value.exit_status is ExitStatus.SETTINGS
    assert "\n" not in str(raised.value)
    assert "tracking.client_cert_file" in str(raised.value) or setting in str(raised.value)


def test_http2_over_httpx_without_its_package_is_a_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "h2", None)
    policy = WirePolicy(base_url="https://localhost", wire=WireKind.HTTPX, http2=True)
    with pytest.raises(SettingsError, match=r"pip install '\.\[http2\]'"):
        open_wire(policy, StaticToken(TOKEN))


# --- files that are renewed while it runs ---

SHORT_LIFE = {"keepalive_s": 0.01, "connection_max_age_s": 0.01}


@pytest.fixture
def look_at_once(monkeypatch):
    """Files are looked at for each connection, not once a second."""
    monkeypatch.setattr(tls_files, "CHECK_EVERY_S", 0.0)


@pytest.mark.usefixtures("look_at_once")
async def test_an_authority_that_replaces_the_old_one_is_believed_without_a_restart(
    kind, ca, tls, tmp_path
):
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(CertificateAuthority(tmp_path, "another").cert.read_bytes())
    async with (
        raw_server(context=tls) as server,
        wire_to(server.url, kind, ca_file=ca_file, **SHORT_LIFE) as wire,
    ):
        assert (await wire.send(POST)).no_answer is NoAnswer.CONNECT
        ca_file.write_bytes(ca.cert.read_bytes())
        answer = await wire.send(POST)
        while answer.status != 200:  # connections that were made before the change end soon
            assert answer.no_answer is NoAnswer.CONNECT
            answer = await wire.send(POST)


@pytest.mark.usefixtures("look_at_once")
async def test_a_client_certificate_that_was_renewed_is_shown_without_a_restart(
    kind, ca, server_identity, tmp_path
):
    seen: list[str] = []

    async def script(exchange: Exchange) -> None:
        shown = exchange.writer.get_extra_info("peercert")
        seen.append(dict(pair[0] for pair in shown["subject"])["commonName"])
        await exchange.respond()

    cert, key = tmp_path / "client.crt", tmp_path / "client.key"
    first, second = ca.issue("first"), ca.issue("second")
    cert.write_bytes(first.cert.read_bytes())
    key.write_bytes(first.key.read_bytes())
    files = {"client_cert_file": cert, "client_key_file": key, "ca_file": ca.cert}
    async with (
        raw_server(script, context=server_context(server_identity, clients=ca.cert)) as server,
        wire_to(server.url, kind, **files, **SHORT_LIFE) as wire,
    ):
        assert (await wire.send(POST)).status == 200
        cert.write_bytes(second.cert.read_bytes())  # half of it: the last good pair stays
        for _ in range(5):
            assert (await wire.send(POST)).status == 200
        assert set(seen) == {"first"}
        key.write_bytes(second.key.read_bytes())
        async with asyncio.timeout(20):
            while seen[-1] != "second":
                assert (await wire.send(POST)).status == 200


@pytest.mark.usefixtures("look_at_once")
async def test_a_file_that_cannot_be_used_any_more_is_named_when_a_connection_fails(
    kind, ca, tls, tmp_path
):
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(CertificateAuthority(tmp_path, "another").cert.read_bytes())
    async with (
        raw_server(context=tls) as server,
        wire_to(server.url, kind, ca_file=ca_file) as wire,
    ):
        ca_file.unlink()
        await wire.send(POST)
        answer = await wire.send(POST)
        assert_no_answer(answer, NoAnswer.CONNECT, "certificate")
        assert "tracking.ca_file" in answer.detail
        assert "as they were before" in answer.detail


async def test_a_server_that_takes_the_connection_and_shakes_no_hands_is_a_timeout(kind, ca):
    async with (
        raw_server() as plain,  # waits for the end of a head that never comes
        wire_to(
            f"https://127.0.0.1:{plain.port}", kind, ca_file=ca.cert, connect_timeout_s=0.1
        ) as wire,
    ):
        answer = await wire.send(POST)
        assert_no_answer(answer, NoAnswer.TIMEOUT, "tracking.connect_timeout_s")
