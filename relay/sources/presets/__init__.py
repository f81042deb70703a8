"""Mappings for what others' products put on Kafka. Each is a file of the mapping language here."""

from importlib.resources import files

from relay.errors import InputError
from relay.yaml_text import Located, read_yaml

_SUFFIX = ".yaml"


def preset_names() -> list[str]:
    """The names of all presets, sorted."""
    found = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX))


def preset_text(name: str) -> str:
    """The YAML of a preset. Raises InputError with the names that there are."""
    if name not in preset_names():
        raise InputError(f"{name} is no preset", hint=f"there are {', '.join(preset_names())}")
    return files(__name__).joinpath(name + _SUFFIX).read_text(encoding="utf-8")


def preset(name: str) -> Located:
    """The mapping of a preset, to be compiled with the settings that a source gives it."""
    return read_yaml(preset_text(name), f"preset {name}")
