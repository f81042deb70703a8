"""`python -m relay` is `relay`."""

import sys

from relay.process_start import prepare

prepare(sys.argv)

from relay.cli import entry  # noqa: E402 - signals must be heard before the long imports

if __name__ == "__main__":
    entry()
