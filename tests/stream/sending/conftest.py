"""Fixtures for the sending stage."""

import pytest

from relay.stream.sending.wire import WireKind


@pytest.fixture(params=list(WireKind))
def kind(request) -> WireKind:
    """Each implementation of the wire."""
    return request.param
