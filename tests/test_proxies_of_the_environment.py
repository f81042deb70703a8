"""HTTP_PROXY and its like belong to other programs: what Relay goes through is in its settings."""

import ast
import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import relay
from relay.apis.errors import ExportError
from relay.apis.locations import FileAccess, S3Access
from relay.apis.s3 import read_object
from relay.kafka_client.endpoint_tokens import EndpointTokens
from relay.kafka_client.policy import ClientCredentials
from relay.telemetry.spans import open_tracer

SOURCES = sorted(Path(relay.__file__).parent.rglob("*.py"))


class Host:
    """A server that counts what it is asked, and has nothing."""

    def __init__(self):
        self.asked = 0
        host = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                host.asked += 1
                self.send_response(404)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST = do_HEAD = do_CONNECT = answer  # noqa: N815

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}
        )

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def proxy(monkeypatch):
    with Host() as host:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, host.url)
            monkeypatch.setenv(name.lower(), host.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield host


async def _s3(url, tmp_path):
    access = FileAccess(S3Access("eu-west-1", url, "key", "secret"))
    with (tmp_path / "file").open("wb") as file, contextlib.suppress(ExportError):
        await read_object("bucket", "key", access, file, lambda *_: None)


async def _token(url, _):
    with contextlib.suppress(Exception):  # it gives none
        await EndpointTokens(ClientCredentials(f"{url}/token", "relay", "secret", None)).token()


async def _spans(url, _):
    async with open_tracer(url, {}) as tracer:
        tracer.start_span("one").end()


@pytest.mark.parametrize("ask", [_s3, _token, _spans])
async def test_clients_of_libraries_go_past_the_proxies_of_the_environment(ask, proxy, tmp_path):
    with Host() as host:
        await ask(host.url, tmp_path)
        assert (host.asked > 0, proxy.asked) == (True, 0)


def test_every_client_of_httpx_leaves_the_environment_alone():
    found = [
        (path.name, {keyword.arg: keyword.value for keyword in call.keywords})
        for path in SOURCES
        if "Client(" in (text := path.read_text(encoding="utf-8"))
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in {"httpx.Client", "httpx.AsyncClient"}
    ]
    assert found
    for where, given in found:
        assert "trust_env" in given, where
        assert ast.unparse(given["trust_env"]) == "False", where
