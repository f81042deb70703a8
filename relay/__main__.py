"""`python -m relay` is `relay`."""

from relay.cli import entry

entry()
