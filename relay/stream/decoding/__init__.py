"""Record bytes → AppEvent, or the reason why not. A file per input format."""

from relay.stream.decoding.app_event import AppEvent, Choice, Profile, Segment, Track
from relay.stream.decoding.decode import DecodingPolicy, decode

__all__ = ["AppEvent", "Choice", "DecodingPolicy", "Profile", "Segment", "Track", "decode"]
