"""The bulk imports that membership events go to: whether the token may see them.

Only a list is asked for: nothing is made, and whether an import may be made shows when one is.
"""

import random

from relay.apis.caller import CallRetryPolicy
from relay.checks.finding import Finding, failure, ok
from relay.errors import RelayError
from relay.settings import Settings
from relay.vendors import open_document_imports


async def check_imports(settings: Settings) -> Finding:
    """Whether the platform lists its document imports to us."""
    try:
        group_id = settings.segments.membership_group(settings.kafka.group_id)
        name = settings.segments.importer_policy(group_id).name
        rng = random.Random()  # noqa: S311 - jitter, no secrets
        async with open_document_imports(settings, rng, CallRetryPolicy(attempts=1)) as imports:
            await imports.find(name)
    except RelayError as error:
        return failure("segments", error)
    return ok("segments", f"membership events go to document imports named {name}-…")
