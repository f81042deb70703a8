"""AppEvent → Activity or a PUT of its own, or the reason why not: identity, rules, envelope."""

from relay.stream.mapping.activity import map_event
from relay.stream.mapping.policy import MAPPING_VERSION, MappingPolicy

__all__ = ["MAPPING_VERSION", "MappingPolicy", "map_event"]
