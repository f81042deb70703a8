"""Settings → ready clients of the vendors' APIs. Every surface that calls one makes it here."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relay.apis.caller import Caller, Patience
from relay.apis.clients import TokenAuth, open_client
from relay.apis.mediarithmics_document_imports import DocumentImports, error_words
from relay.settings import Settings
from relay.stream.sending.tls import client_context

_MEDIARITHMICS_HINTS = {
    401: "check tracking.api_token",
    403: "the token may not do this: check the rights of its account",
    404: "check tracking.datamart_id",
}


@asynccontextmanager
async def open_document_imports(
    settings: Settings, rng: random.Random, patience: Patience | None = None
) -> AsyncIterator[DocumentImports]:
    """Mediarithmics' bulk imports, with the address and the token of `tracking`."""
    tracking = settings.tracking
    authorization = tracking.authorization()
    context = client_context(tracking.ca_file, tracking.client_cert_file, tracking.client_key_file)
    proxy = None if tracking.proxy is None else tracking.proxy.get_secret_value()
    auth = TokenAuth(lambda: authorization.header(asyncio.get_running_loop().time()))
    async with open_client(tracking.base_url, auth=auth, proxy=proxy, verify=context) as client:
        caller = Caller(
            "mediarithmics",
            client,
            rng,
            patience=patience or Patience(),
            hints=_MEDIARITHMICS_HINTS,
            words=error_words,
        )
        yield DocumentImports(caller, tracking.datamart_id, settings.segments.imports.upload)
