"""The vendors that segments come from and are steered at, where the settings name them.

Only lists and a login are asked for: no export is begun, and nothing is changed.
"""

import random
from collections.abc import AsyncIterator
from importlib.util import find_spec

from relay.apis.caller import CallRetryPolicy
from relay.checks.finding import Finding, failure, ok, warning
from relay.errors import InputError, RelayError, install
from relay.settings import Settings
from relay.vendors import open_digital_audience, open_mparticle
from relay.wording import counted

_ONCE = CallRetryPolicy(attempts=1)


async def check_segments(settings: Settings) -> AsyncIterator[Finding]:
    """mParticle, S3 and Digital Audience; nothing of those that the settings do not name."""
    segments = settings.segments
    if segments.syncs or segments.mparticle.api_key is not None:
        yield await _mparticle(settings)
        yield _s3(settings)
    if segments.digital_audience.base_url is not None:
        yield await _audience(settings)


async def _mparticle(settings: Settings) -> Finding:
    try:
        async with open_mparticle(settings, _rng(), _ONCE) as api:
            known = {segment.segment_id for segment in await api.segments()}
    except RelayError as error:
        return failure("mparticle", error)
    for sync in settings.segments.syncs:
        if sync.mparticle_segment_id not in known:
            problem = f"the sync {sync.name} names a segment that the project does not have"
            return failure("mparticle", InputError(problem, hint="see relay segments list"))
    return ok("mparticle", f"lists {counted(len(known), 'segment')} of the project")


def _s3(settings: Settings) -> Finding:
    """Where an export will lie is known only when there is one."""
    if find_spec("obstore") is None:
        return warning("s3", "not installed: only exports by https can be read", install("s3"))
    s3 = settings.segments.s3
    keys = "the keys of the settings" if s3.access_key_id else "what the machine offers"
    return ok("s3", f"exports are read with {keys}, {s3.endpoint or f'in {s3.region}'}; not tried")


async def _audience(settings: Settings) -> Finding:
    try:
        async with open_digital_audience(settings, _rng(), _ONCE) as api:
            if settings.segments.digital_audience.cookie is not None:
                return ok("digital audience", "a cookie is given; not tried")
            await api.log_in()
    except RelayError as error:
        return failure("digital audience", error)
    return ok("digital audience", "takes the login")


def _rng() -> random.Random:
    return random.Random()  # noqa: S311 - jitter, no secrets
