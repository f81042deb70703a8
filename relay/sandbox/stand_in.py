"""What one vendor's API hands to the application that serves it: its routes and its manners."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from relay.sandbox.state import State

# (state, status, text, headers) -> an error as this API words it.
Refusal = Callable[[State, int, str, Mapping[str, str]], Response]


@dataclass(frozen=True, slots=True)
class StandIn:
    """A stand-in for a vendor's API."""

    prefix: str
    """Where its paths begin: errors and faults of these paths are worded by `refusal`."""

    routes: Callable[[State], Sequence[BaseRoute]]
    refusal: Refusal
    paths: Mapping[str, Any] = field(default_factory=dict)
    """Its paths in the document at `/openapi.json`."""

    schemas: Mapping[str, Any] = field(default_factory=dict)
    """What its paths refer to under `#/components/schemas/`."""
