"""A forward proxy on a real socket: whole requests for http, tunnels for https."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.stream_server import stream_server


@dataclass
class Proxy:
    """What the proxy was asked for, and everything that it could read."""

    refuse: bool = False
    port: int = 0
    targets: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    heard: bytes = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heard += head
            first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            method, target, version = first.split(" ")
            self.targets.append(target)
            kept = []
            for line in lines:
                name, value = line.split(": ", 1)
                if name.lower() == "proxy-authorization":
                    self.authorizations.append(value)
                elif not name.lower().startswith("proxy-"):
                    kept.append(line)
            if self.refuse:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                await writer.drain()
                return
            if method == "CONNECT":
                host, port = target.split(":")
            else:
                parts = urlsplit(target)
                host, port = str(parts.hostname), str(parts.port)
                target = target.removeprefix(f"http://{parts.netloc}")
            up_reader, up_writer = await asyncio.open_connection(host, int(port))
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                request = "\r\n".join([f"{method} {target} {version}", *kept, "", ""])
                up_writer.write(request.encode("latin-1"))
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass(reader, up_writer, listen=True))
                    group.create_task(self._pass(up_reader, writer))
            finally:
                up_writer.transport.abort()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        listen: bool = False,
    ) -> None:
        while data := await reader.read(65536):
            if listen:
                self.heard += data
            writer.write(data)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def proxy_server(*, refuse: bool = False) -> AsyncIterator[Proxy]:
    """A running proxy on a free port."""
    proxy = Proxy(refuse)
    async with stream_server(proxy.serve) as proxy.port:
        yield proxy
