"""The settings file while Relay runs: it is read again when it changes, as token files are.

| the file | so |
|---|---|
| has further destinations, or another `routing`, and nothing else is new | they are taken over |
| differs in anything else | told by name; nothing of it is taken over before a restart |
| cannot be used | told; what was read before goes on |
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from relay.errors import RelayError
from relay.process_facts import SettingsChanged, SettingsNotTaken
from relay.settings import Settings
from relay.settings.changes import needing_restart
from relay.stream.sending.token import CHECK_EVERY_S, Stamp, stamp_of
from relay.telemetry.facts import Emit


@dataclass(slots=True)
class SettingsFile:
    """A file, and how all settings are read from it. Made before it is read the first time."""

    path: Path
    read: Callable[[], Settings]
    _stamp: Stamp | None = field(init=False)

    def __post_init__(self) -> None:
        self._stamp = _stamp(self.path)

    def has_changed(self) -> bool:
        """Whether it is another than at the last look."""
        # Taken before the content: a write in between is seen at the next look.
        stamp, before = _stamp(self.path), self._stamp
        self._stamp = stamp
        return stamp != before


async def follow(
    file: SettingsFile, settings: Settings, take: Callable[[Settings], Awaitable[None]], emit: Emit
) -> None:
    """Until cancelled: hand what may be taken over to `take`, which may raise a RelayError."""
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        if not file.has_changed():
            continue
        try:
            # In a thread: reading and judging takes tens of milliseconds, and heartbeats run on
            # this loop.
            new = await asyncio.to_thread(file.read)
            if restart := needing_restart(settings, new):
                reason = f"needs a restart, and so does all else in it: {', '.join(restart)}"
                emit(SettingsNotTaken(reason=reason))
                continue
            added = [name for name in new.sending if name not in settings.sending]
            if added or new.routing != settings.routing:
                await take(new)
                settings = new
                emit(SettingsChanged(destinations=", ".join(added)))
        except RelayError as error:
            emit(SettingsNotTaken(reason="; ".join(str(error).splitlines())))


def _stamp(path: Path) -> Stamp | None:
    try:
        return stamp_of(path)
    except OSError:
        return None
