"""Settings → ready clients of the vendors' APIs and of the schema registry.

Every surface that calls one makes it here.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from relay.apis import digital_audience as audience_api
from relay.apis import mparticle_segments as mparticle_api
from relay.apis.caller import Caller, CallRetryPolicy
from relay.apis.clients import TokenAuth, open_client
from relay.apis.mediarithmics_document_imports import DocumentImports, error_words
from relay.apis.mediarithmics_user_points import HINTS, VENDOR, UserPoints
from relay.settings import Settings
from relay.settings.tracking import TrackingSettings
from relay.sources.registry.client import RegistryClient
from relay.sources.registry.loader import SchemaLoader
from relay.sources.registry.policy import RegistryPolicy
from relay.stream.sending.tls import client_context
from relay.stream.sending.token import Authorization, TokenFile, static_token
from relay.telemetry.facts import Emit

_MEDIARITHMICS_HINTS = {
    401: "check tracking.api_token",
    403: "the token may not do this: check the rights of its account",
    404: "check tracking.datamart_id",
}


@asynccontextmanager
async def open_document_imports(
    settings: Settings, rng: random.Random, retry: CallRetryPolicy | None = None
) -> AsyncIterator[DocumentImports]:
    """Mediarithmics' bulk imports, with the address and the token of `tracking`."""
    async with _tracking_client(settings.tracking) as client:
        caller = Caller(
            "mediarithmics",
            client,
            rng,
            retry=retry or CallRetryPolicy(),
            hints=_MEDIARITHMICS_HINTS,
            words=error_words,
        )
        yield DocumentImports(caller, settings.tracking.datamart_id)


@asynccontextmanager
async def open_user_points(settings: Settings) -> AsyncIterator[UserPoints]:
    """Mediarithmics' user points, with the address, the token and the timeouts of `tracking`."""
    tracking = settings.tracking
    async with _tracking_client(tracking) as client:
        client.timeout = httpx.Timeout(
            connect=tracking.connect_timeout_s,
            write=tracking.write_timeout_s,
            read=tracking.read_timeout_s,
            pool=tracking.total_timeout_s,
        )
        rng = random.Random()  # noqa: S311 - jitter, no secrets
        yield UserPoints(Caller(VENDOR, client, rng, hints=HINTS))


def _tracking_client(tracking: TrackingSettings) -> httpx.AsyncClient:
    context = client_context(tracking.ca_file, tracking.client_cert_file, tracking.client_key_file)
    proxy = None if tracking.proxy is None else tracking.proxy.get_secret_value()
    auth = _token_auth(tracking.authorization())
    return open_client(tracking.base_url, auth=auth, proxy=proxy, verify=context)


def _token_auth(source: Authorization) -> TokenAuth:
    """The token as it is now: it may be renewed while the client lives."""
    return TokenAuth(lambda: source.header(asyncio.get_running_loop().time()))


@asynccontextmanager
async def open_registry(settings: RegistryPolicy) -> AsyncIterator[RegistryClient]:
    """The schema registry."""
    context = client_context(
        settings.ca_file, settings.client_cert_file, settings.client_key_file, "schema_registry"
    )
    async with open_client(auth=_registry_auth(settings), verify=context) as client:
        client.timeout = httpx.Timeout(settings.timeout_s)
        yield RegistryClient(client, settings)


@asynccontextmanager
async def open_schema_loader(
    settings: RegistryPolicy, rng: random.Random, emit: Emit
) -> AsyncIterator[SchemaLoader]:
    """The schema registry, with a cache of its own. Nothing is asked before a schema is needed."""
    async with open_registry(settings) as client:
        yield SchemaLoader(client, settings, rng, emit)


def _registry_auth(settings: RegistryPolicy) -> httpx.Auth | None:
    if settings.username is not None and settings.password is not None:
        return httpx.BasicAuth(settings.username, settings.password.get_secret_value())
    token: Authorization
    if settings.token_file is not None:
        token = TokenFile(
            settings.token_file, prefix="Bearer ", setting="schema_registry.token_file"
        )
    elif settings.token is not None:
        token = static_token(
            settings.token.get_secret_value(), prefix="Bearer ", source="schema_registry.token"
        )
    else:
        return None
    return _token_auth(token)


@asynccontextmanager
async def open_mparticle(
    settings: Settings, rng: random.Random, retry: CallRetryPolicy | None = None
) -> AsyncIterator[mparticle_api.MparticleSegments]:
    """MParticle's API."""
    segments = settings.segments
    auth = httpx.BasicAuth(*segments.mparticle_credentials())
    proxy = segments.file_access().proxy
    async with open_client(segments.mparticle.base_url, auth=auth, proxy=proxy) as client:
        caller = Caller(
            "mParticle",
            client,
            rng,
            retry=retry or CallRetryPolicy(),
            hints=mparticle_api.HINTS,
            faults_final=True,
        )
        yield mparticle_api.MparticleSegments(caller)


@asynccontextmanager
async def open_digital_audience(
    settings: Settings, rng: random.Random, retry: CallRetryPolicy | None = None
) -> AsyncIterator[audience_api.DigitalAudience]:
    """Digital Audience's API."""
    segments = settings.segments
    base_url, credentials = segments.digital_audience_login()
    async with open_client(base_url, proxy=segments.file_access().proxy) as client:
        caller = Caller(
            "Digital Audience",
            client,
            rng,
            retry=retry or CallRetryPolicy(),
            hints=audience_api.HINTS,
        )
        yield audience_api.DigitalAudience(caller, credentials, segments.digital_audience.paths)
