"""Downloads: S3 played by moto, HTTPS by the stand-in; whole or not at all."""

import asyncio
import importlib
import os
import socket
import ssl
import sys
from contextlib import asynccontextmanager
from urllib.parse import quote

import certifi
import httpx
import pytest
from moto.server import ThreadedMotoServer
from obstore import exceptions

from relay.apis.errors import AccessRefused, AnswerUnusable, ExportExpired, Unreachable
from relay.apis.locations import FileAccess, S3Access
from relay.apis.object_store import fetch
from relay.apis.s3 import _meaning
from relay.disk import LocalStateError
from relay.errors import SettingsError
from tests.support.certificates import CertificateAuthority
from tests.support.synced import watch_syncs

SEGMENT = "seg"
BIG = os.urandom(20 << 20)
HERE = FileAccess(allow_private=True)


@pytest.fixture(scope="module")
def s3():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    httpx.put(f"{endpoint}/upload-bucket")
    yield S3Access("eu-west-1", endpoint, "key", "s3cret")
    server.stop()


def put(s3, key, content):
    httpx.put(f"{s3.endpoint}/upload-bucket/{quote(key)}", content=content).raise_for_status()


def nothing(done, total):
    pass


async def test_an_object_larger_than_a_piece_arrives_whole(s3, tmp_path):
    put(s3, "path/to/a b?#.csv", BIG)
    heard = []
    size = await fetch(
        "s3://upload-bucket/path/to/a b?#.csv",
        tmp_path / "x",
        FileAccess(s3),
        lambda *at: heard.append(at),
    )
    assert size == len(BIG)
    assert (tmp_path / "x").read_bytes() == BIG
    assert heard[-1] == (len(BIG), len(BIG))
    assert len(heard) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


async def test_an_object_that_is_not_there_is_an_expired_export(s3, tmp_path):
    for location in ("s3://upload-bucket/none", "s3://nobody/x"):
        with pytest.raises(ExportExpired, match="48 hours"):
            await fetch(location, tmp_path / "x", FileAccess(s3), nothing)
    assert not (tmp_path / "x").exists()


async def test_an_s3_that_does_not_answer_is_said_without_keys(tmp_path):
    access = S3Access("eu-west-1", "http://127.0.0.1:1", "AKIAKEY", "s3cret")
    with pytest.raises(Unreachable) as caught:
        await asyncio.wait_for(fetch("s3://b/k", tmp_path / "x", FileAccess(access), nothing), 60)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(access)


async def test_every_exception_of_obstore_has_a_meaning():
    kinds = [
        value
        for value in vars(exceptions).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert len(kinds) > 8
    for kind in kinds:
        meaning = _meaning("w", kind("http://secret"))
        assert "secret" not in str(meaning)
        expected = {
            "PermissionDeniedError": AccessRefused,
            "UnauthenticatedError": AccessRefused,
        }.get(kind.__name__, Unreachable)
        assert isinstance(meaning, expected), kind


async def test_without_the_extra_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "relay.apis.s3", None)
    monkeypatch.delattr(importlib.import_module("relay.apis"), "s3", raising=False)
    with pytest.raises(SettingsError, match=r"pip install '\.\[s3\]'"):
        await fetch("s3://b/k", tmp_path / "x", HERE, nothing)


async def location(world, content):
    await world.set_export(SEGMENT, content)
    api = await world.mparticle()
    asked = await api.request_export(SEGMENT)
    await world.clock.sleep(1)
    return (await api.export(asked.export_id)).filename


async def test_a_signed_address_is_read_without_our_credentials(world, tmp_path):
    where = await location(world, BIG)
    assert await fetch(where, tmp_path / "x", HERE, nothing) == len(BIG)
    assert (tmp_path / "x").read_bytes() == BIG


async def test_a_download_is_on_the_disk_before_it_has_its_name(world, tmp_path, monkeypatch):
    where = await location(world, b"a,b\n1,2\n")
    syncs = watch_syncs(monkeypatch)
    await fetch(where, tmp_path / "x", HERE, nothing)
    (sync,) = syncs
    assert sync.content == b"a,b\n1,2\n"
    assert sync.beside == {sync.name} != {"x"}


async def test_a_download_that_breaks_off_leaves_no_file(world, tmp_path):
    await world.put("mparticle", cut_downloads=1)
    where = await location(world, BIG)
    with pytest.raises(Unreachable, match="broke off") as caught:
        await fetch(where, tmp_path / "x", HERE, nothing)
    assert "Signature" not in str(caught.value)
    assert not (tmp_path / "x").exists()
    assert await fetch(where, tmp_path / "x", HERE, nothing) == len(BIG)


async def test_a_signature_that_is_over_and_a_file_that_is_gone_need_a_new_export(world, tmp_path):
    await world.put("mparticle", gone="dead_file")
    where = await location(world, b"x")
    with pytest.raises(ExportExpired, match="403: the address is not valid any more"):
        await fetch(where + "0", tmp_path / "x", HERE, nothing)
    await world.clock.sleep(50 * 3600)
    with pytest.raises(ExportExpired):
        await fetch(where, tmp_path / "x", HERE, nothing)


@pytest.mark.parametrize(
    "where", ["ftp://host/x", "/etc/passwd", "file:///etc/passwd", "http://example.com/x", "s3://b"]
)
async def test_no_other_kind_of_address_is_followed(where, tmp_path):
    with pytest.raises(AnswerUnusable, match="only s3:// and https://"):
        await fetch(where, tmp_path / "x", HERE, nothing)


async def test_a_full_disk_is_our_problem_and_leaves_no_file(world, tmp_path):
    where = await location(world, BIG)
    (tmp_path / "x.part").symlink_to("/dev/full")
    with pytest.raises(LocalStateError, match="No space left"):
        await fetch(where, tmp_path / "x", HERE, nothing)
    assert not (tmp_path / "x").exists()


@asynccontextmanager
async def redirecting(*hops):
    """A server that answers each request by the next hop; the last is a body."""
    left = list(hops)

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        hop = left.pop(0)
        if isinstance(hop, bytes):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(hop), hop))
        else:
            head = f"HTTP/1.1 302 Found\r\nLocation: {hop}\r\nContent-Length: 0\r\n\r\n"
            writer.write(head.encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/export.csv"


async def test_a_redirect_is_followed_within_the_same_rules(tmp_path):
    async with redirecting("/elsewhere.csv", b"id\n1\n") as where:
        assert await fetch(where, tmp_path / "x", HERE, nothing) == 5
    assert (tmp_path / "x").read_bytes() == b"id\n1\n"


@pytest.mark.parametrize(
    "to", ["http://example.com/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/"]
)
async def test_a_redirect_leads_nowhere_that_is_refused_directly(tmp_path, to):
    async with redirecting(to, b"secret") as where:
        with pytest.raises(AnswerUnusable, match="only s3:// and https://"):
            await fetch(where, tmp_path / "x", HERE, nothing)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "where",
    [
        "https://127.0.0.2/x",
        "https://10.1.2.3/x",
        "https://192.168.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://localhost/x",
    ],
)
async def test_a_private_network_is_not_reached_unless_the_settings_say_so(tmp_path, where):
    with pytest.raises(AnswerUnusable, match="in a private network") as caught:
        await fetch(where, tmp_path / "x", FileAccess(), nothing)
    assert "allow_private_hosts" in caught.value.hint


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("https://127.0.0.2/x", "in a private network"),
        ("https://169.254.169.254/x", "in a private network"),
        ("http://127.0.0.2/x", "only s3:// and https://"),
        ("http://8.8.4.4/x", "only s3:// and https://"),
    ],
)
async def test_a_public_host_leads_into_no_private_network_and_out_of_no_encryption(
    tmp_path, monkeypatch, to, says
):
    asked = []

    async def answer(_transport, request):
        asked.append(str(request.url))
        return httpx.Response(302, headers={"location": to})

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
    where = "https://8.8.8.8/export.csv"
    with pytest.raises(AnswerUnusable, match=says):
        await fetch(where, tmp_path / "x", FileAccess(), nothing)
    assert asked == [where]


async def test_a_name_is_looked_up_once_and_its_certificate_is_still_that_of_the_name(
    tmp_path, monkeypatch
):
    """What was checked is what is called: by its number, and as the name in TLS and in `Host`."""
    authority = CertificateAuthority(tmp_path)
    identity = authority.issue("exports")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)
    names, heads = [], []
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def answer(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nid")
        await writer.drain()
        writer.close()

    async def look_up(host, port, **_):
        looked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    looked = []
    monkeypatch.setattr(certifi, "where", lambda: str(authority.cert))
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        assert await fetch(f"https://localhost:{port}/x", tmp_path / "x", HERE, nothing) == 2
        assert (looked, names) == (["localhost"], ["localhost"])
        assert f"Host: localhost:{port}".encode() in heads[0]
        # A name that the certificate does not have is refused, wherever it leads.
        with pytest.raises(Unreachable, match="broke off"):
            await fetch(f"https://elsewhere.test:{port}/x", tmp_path / "y", HERE, nothing)
        assert (looked[1:], len(heads)) == (["elsewhere.test"], 1)


async def test_redirects_have_an_end(tmp_path):
    async with redirecting(*["/again"] * 10) as where:
        with pytest.raises(AnswerUnusable, match="more than 5 redirects"):
            await fetch(where, tmp_path / "x", HERE, nothing)


async def test_a_file_beyond_the_ceiling_is_not_read(s3, tmp_path):
    async with redirecting(b"x" * 2000) as where:
        access = FileAccess(bytes_max=1000, allow_private=True)
        with pytest.raises(AnswerUnusable, match="larger than 1000 bytes"):
            await fetch(where, tmp_path / "x", access, nothing)
    put(s3, "large.csv", b"x" * 2000)
    access = FileAccess(s3, bytes_max=1000)
    with pytest.raises(AnswerUnusable, match="larger than 1000 bytes"):
        await fetch("s3://upload-bucket/large.csv", tmp_path / "x", access, nothing)
