"""The sandbox and the demo may be missing: they are a package of their own, `deploy/demo`."""

from importlib.util import find_spec

from relay.errors import SettingsError


def needs_the_sandbox() -> None:
    """Raise SettingsError where `relay.sandbox` and `relay.demo` are not installed."""
    if find_spec("relay.sandbox") is None or find_spec("relay.demo") is None:
        raise SettingsError(
            "the sandbox and the demo are not part of this installation",
            hint="in Relay's own folder: pip install . ./deploy/demo; "
            "an image with them: --build-arg WITH_DEMO=1",
        )
