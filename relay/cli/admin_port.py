"""Where the admin port of a running relay is, and what it says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from relay.errors import DestinationError

TIMEOUT_S = 5.0  # the port answers within milliseconds, or something is wrong


def admin_url(config: Path | None) -> str:
    """The address that the settings name, as it is reached from this machine."""
    from relay.settings import load

    admin = load(config, needs=["admin"]).admin
    host = "127.0.0.1" if admin.host in ("0.0.0.0", "::") else admin.host  # noqa: S104
    return f"http://[{host}]:{admin.port}" if ":" in host else f"http://{host}:{admin.port}"


def asked(url: str) -> Mapping[str, Any]:
    """/status, with /readyz under `ready`.

    Raises:
        DestinationError: Nothing answers there, or not as a relay does.
    """
    import httpx

    try:
        with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
            ready = client.get("/readyz").json()
            told = client.get("/status").raise_for_status().json()
            return {"ready": {"ready": ready["ready"], "reason": ready["reason"]}, **told}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise DestinationError(
            f"{url} does not answer as a relay does: {type(error).__name__}",
            hint="is it running there? name its admin address with --url",
        ) from None
