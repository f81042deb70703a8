"""Puts a finished export into an S3 that speaks plain HTTP, as the tests' own does."""

import obstore
from obstore.store import S3Store


async def put(endpoint: str, region: str, bucket: str, key: str, content: bytes) -> None:
    """Store one object."""
    store = S3Store(
        bucket,
        endpoint=endpoint,
        region=region,
        access_key_id="sandbox",
        secret_access_key="sandbox",  # noqa: S106 - nobody's
        virtual_hosted_style_request=False,
        client_options={"allow_http": True, "timeout": "60s"},
    )
    await obstore.put_async(store, key, content)
