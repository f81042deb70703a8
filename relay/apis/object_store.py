"""The location that an export names → a local file, whole or not at all.

`s3://bucket/key` with credentials by settings or from the surroundings; `https://…` as it is, since
whoever has a signed address may read it. The file appears under its name only when all of it is on
the disk.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from relay.apis.clients import open_client
from relay.apis.errors import AnswerUnusable, ExportExpired, Unreachable
from relay.apis.locations import KEPT, FileAccess, check_size
from relay.disk import disk_errors
from relay.errors import SettingsError, install

_HOPS_MAX = 5
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_NOT_ALLOWED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

OnBytes = Callable[[int, int | None], None]
"""Hears how many bytes there are so far, and of how many if that is known."""


async def fetch(location: str, to: Path, access: FileAccess, on_bytes: OnBytes) -> int:
    """Write what lies at `location` to `to`; its size. Raises what `relay.apis.errors` names."""
    partial = to.with_name(to.name + ".part")
    with disk_errors(partial), partial.open("wb") as file:
        size = await _read(location, access, file, on_bytes)
        file.flush()
        os.fsync(file.fileno())
    with disk_errors(to):
        partial.replace(to)
    return size


async def _read(location: str, access: FileAccess, file: BinaryIO, on_bytes: OnBytes) -> int:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    if location.startswith("s3://") and bucket and key:
        try:
            from relay.apis import s3  # noqa: PLC0415 - an extra, which most do not need
        except ImportError:
            raise SettingsError(
                "the export lies in S3, and obstore is not installed",
                hint=install("s3"),
            ) from None
        return await s3.read_object(bucket, key, access, file, on_bytes)
    return await _read_https(location, access, file, on_bytes)


async def _read_https(location: str, access: FileAccess, file: BinaryIO, on_bytes: OnBytes) -> int:
    """Every hop is held to the same rules as the first: see `_target`."""
    what = "download"
    for _ in range(_HOPS_MAX + 1):
        try:
            target = httpx.URL(location)
            what = f"download from {target.host}"  # the rest may be a signature
            # A client of its own: nobody's credentials may travel to the host of the file.
            async with (
                open_client(proxy=access.proxy) as client,
                client.stream("GET", **await _target(target, access)) as answer,
            ):
                if not answer.has_redirect_location:
                    return await _body(what, answer, access.bytes_max, file, on_bytes)
                location = str(target.join(answer.headers["location"]))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # This is also how a body that is shorter than announced ends.
            raise Unreachable(f"{what}: broke off ({type(error).__name__})") from None
    raise AnswerUnusable(f"{what}: more than {_HOPS_MAX} redirects")


async def _body(
    what: str, answer: httpx.Response, bytes_max: int, file: BinaryIO, on_bytes: OnBytes
) -> int:
    _check_status(what, answer.status_code)
    total = int(answer.headers.get("content-length") or 0) or None
    size = 0
    async for chunk in answer.aiter_raw():
        size += len(chunk)
        check_size(what, max(size, total or 0), bytes_max)
        file.write(chunk)
        on_bytes(size, total)
    return size


async def _target(url: httpx.URL, access: FileAccess) -> dict[str, Any]:
    """Check where an address leads.

    Encrypted, and not into a private network: an address that somebody else chose must not reach
    what only we can reach. With `allow_private` it may; and within this machine without encryption.
    The name is looked up once, and what was checked is what is called: by its numeric address.
    """
    plain = url.scheme == "http" and access.allow_private and _is_this_machine(url.host)
    if not url.host or not (url.scheme == "https" or plain):
        raise AnswerUnusable(
            f"the export names a file by {url.scheme or 'no scheme'}: only s3:// and https:// "
            "are understood"
        )
    # As it is stored, so that the announced length can be checked.
    headers = {"Accept-Encoding": "identity"}
    addresses = await _addresses(url, looked_up=access.proxy is None)
    private = [address for address in addresses if not address.is_global]
    if private and not access.allow_private:
        raise AnswerUnusable(
            f"the export lies at {url.host}, in a private network",
            hint="if that is meant, set segments.exports.allow_private_hosts",
        )
    if not addresses or url.host == str(addresses[0]):
        return {"url": url, "headers": headers}
    return {
        "url": url.copy_with(host=str(addresses[0])),
        "headers": headers | {"Host": url.netloc.decode("ascii")},
        "extensions": {"sni_hostname": url.host},
    }


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _addresses(url: httpx.URL, *, looked_up: bool) -> list[IPv4Address | IPv6Address]:
    """The addresses of a host; behind a proxy, which looks names up itself, only numeric ones."""
    with contextlib.suppress(ValueError):
        return [ip_address(url.host)]
    if not looked_up:
        return []
    port = url.port or {"https": 443, "http": 80}[url.scheme]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            url.host, port, type=socket.SOCK_STREAM
        )
    except OSError:
        raise Unreachable(f"download from {url.host}: no such host") from None
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _check_status(what: str, status: int) -> None:
    if status in _GONE:
        raise ExportExpired(f"{what}: {status}: the file is not there", hint=KEPT)
    if status in _NOT_ALLOWED:
        # A signed address ends with its signature: only a new export has a new one.
        raise ExportExpired(f"{what}: {status}: the address is not valid any more", hint=KEPT)
    if status != HTTPStatus.OK:
        raise Unreachable(f"{what}: {status}, where a file was due", status=status)
