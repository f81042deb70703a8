"""The location that an export names → a local file, whole or not at all.

`s3://bucket/key` with credentials by settings or from the surroundings; `https://…` as it is, since
whoever has a signed address may read it. The file appears under its name only when all of it is on
the disk.
"""

import os
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx

from relay.apis.clients import open_client
from relay.apis.errors import AccessRefused, AnswerUnusable, ExportExpired, Unreachable
from relay.apis.locations import KEPT, FileAccess
from relay.disk import disk_errors
from relay.errors import SettingsError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
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
                hint="pip install 'mics-relay[s3]'",
            ) from None
        return await s3.read_object(bucket, key, access, file, on_bytes)
    parts = urlsplit(location)
    # Without encryption only within this machine: a signed address is a secret.
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return await _read_https(location, access.proxy, file, on_bytes)
    raise AnswerUnusable(
        f"the export names a file by {parts.scheme or 'no scheme'}: only s3:// and https:// "
        "are understood"
    )


async def _read_https(location: str, proxy: str | None, file: BinaryIO, on_bytes: OnBytes) -> int:
    what = f"download from {urlsplit(location).hostname}"  # the rest may be a signature
    # As it is stored, so that the announced length can be checked.
    headers = {"Accept-Encoding": "identity"}
    size = 0
    try:
        # A client of its own: nobody's credentials may travel to the host of the file.
        async with (
            open_client(proxy=proxy, follow_redirects=True) as client,
            client.stream("GET", location, headers=headers) as answer,
        ):
            _check_status(what, answer.status_code)
            total = int(answer.headers.get("content-length") or 0) or None
            async for chunk in answer.aiter_raw():
                file.write(chunk)
                size += len(chunk)
                on_bytes(size, total)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # This is also how a body that is shorter than announced ends.
        raise Unreachable(f"{what}: broke off ({type(error).__name__})") from None
    return size


def _check_status(what: str, status: int) -> None:
    if status in _GONE:
        raise ExportExpired(f"{what}: {status}: the file is not there", hint=KEPT)
    if status in _NOT_ALLOWED:
        hint = "a signed address ends with its signature; ask for a new export"
        raise AccessRefused(f"{what}: {status}: not allowed", hint=hint, status=status)
    if status != HTTPStatus.OK:
        raise Unreachable(f"{what}: {status}, where a file was due", status=status)
