"""`WirePolicy` → the wire that it names."""

from relay.stream.sending.token import Authorization
from relay.stream.sending.wire import Wire, WireKind, WirePolicy


def open_wire(policy: WirePolicy, authorization: Authorization) -> Wire:
    """Opens the chosen wire. A certificate or address that cannot be used is a `SettingsError`."""
    # Imported here: only the client that is used is loaded, each costs a tenth of a second.
    match policy.wire:
        case WireKind.FAST:
            from relay.stream.sending.wire_http1 import Http1Wire  # noqa: PLC0415

            return Http1Wire(policy, authorization)
        case WireKind.HTTPX:
            from relay.stream.sending.wire_httpx import HttpxWire  # noqa: PLC0415

            return HttpxWire(policy, authorization)
