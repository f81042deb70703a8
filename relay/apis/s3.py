"""An object in S3 → an open file. Needs obstore, which the extra `s3` brings."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore import exceptions as known
from obstore.store import S3Store

from relay.apis.errors import AccessRefused, ApiError, ExportError, ExportExpired, Unreachable
from relay.apis.locations import KEPT, FileAccess, S3Access, check_size

if TYPE_CHECKING:  # obstore has it for type checkers only
    from obstore.store import ClientConfig

_PIECE_BYTES = 8 << 20
# obstore looks at HTTP_PROXY and its like unless a proxy is given: one that no host goes through.
_NO_PROXY: "ClientConfig" = {
    "proxy_url": "http://127.0.0.1:9",
    "proxy_excludes": "*,0.0.0.0/0,::/0",
}


async def read_object(
    bucket: str,
    key: str,
    access: FileAccess,
    file: BinaryIO,
    on_bytes: Callable[[int, int], None],
) -> int:
    """Write the object to `file`, a piece at a time; its size."""
    what = f"S3 bucket {bucket}"
    try:
        store = _store(bucket, access.s3, access.proxy)
        meta = await obstore.head_async(store, key)
        total, tag = meta["size"], meta["e_tag"]
        check_size(what, total, access.bytes_max)
        for start in range(0, total, _PIECE_BYTES):
            end = min(start + _PIECE_BYTES, total)
            # All pieces of one and the same object, even if somebody replaces it meanwhile.
            piece = await obstore.get_async(
                store, key, options={"range": (start, end), "if_match": tag}
            )
            data = await piece.bytes_async()
            if len(data) != end - start:
                raise Unreachable(f"{what}: {len(data)} bytes came of {end - start}")
            file.write(data)
            on_bytes(end, total)
    except (OSError, known.BaseError) as error:
        raise _meaning(what, error) from None
    return total


def _meaning(what: str, error: Exception) -> ApiError | ExportError | OSError:
    """What obstore says → what it means. Its texts hold addresses, so none of them is kept."""
    match error:
        case FileNotFoundError():
            return ExportExpired(f"{what}: the file is not there", hint=KEPT)
        case known.PermissionDeniedError() | known.UnauthenticatedError():
            return AccessRefused(
                f"{what}: not allowed",
                hint="check segments.s3; without the right to list, S3 says this of a missing "
                "file too",
            )
        case known.PreconditionError():
            return Unreachable(f"{what}: the file was replaced during the download")
        case OSError() if error.errno is not None:
            return error  # ours: the disk
        case _:
            return Unreachable(f"{what}: cannot be read ({type(error).__name__})")


def _store(bucket: str, access: S3Access, proxy: str | None) -> S3Store:
    through: ClientConfig = _NO_PROXY if proxy is None else {"proxy_url": proxy}
    return S3Store(
        bucket,
        # Stores that are not Amazon's rarely answer at bucket.host.
        virtual_hosted_style_request=access.endpoint is None,
        client_options={
            "allow_http": (access.endpoint or "").startswith("http://"),
            "connect_timeout": "10s",
            "timeout": "120s",  # for one piece
            **through,
        },
        retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=120)},
        **{name: value for name, value in asdict(access).items() if value is not None},
    )
