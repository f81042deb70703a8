"""The sandbox and the demo may be missing: the container image leaves them out unless asked."""

from importlib.util import find_spec

from relay.errors import SettingsError


def needs_the_sandbox() -> None:
    """Raise SettingsError where `relay.sandbox` and `relay.demo` were left out."""
    if find_spec("relay.sandbox") is None or find_spec("relay.demo") is None:
        raise SettingsError(
            "the sandbox and the demo are not part of this installation",
            hint="build the image with them: --build-arg WITH_DEMO=1 (docs/DEPLOY.md)",
        )
