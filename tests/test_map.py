"""The map in `relay/__init__.py` shows every room of the house."""

import re
from pathlib import Path

import relay

HOME = Path(relay.__file__).parent


def rooms():
    for folder, prefix in ((HOME, ""), (HOME / "road", "road/"), (HOME / "stream", "stream/")):
        for entry in sorted(folder.iterdir()):
            inside = entry.name in ("road", "stream")
            if entry.is_dir() and (entry / "__init__.py").exists() and not inside:
                yield f"{prefix}{entry.name}/"
            elif entry.suffix == ".py" and not entry.name.startswith("__"):
                yield f"{prefix}{entry.name}"


def test_every_room_is_on_the_map_and_every_name_on_the_map_is_a_room():
    shown = set(re.findall(r"(?<![\w/])[a-z_]+(?:/[a-z_]+)?(?:\.py|/)(?=[\s,])", relay.__doc__))
    assert shown == set(rooms())
