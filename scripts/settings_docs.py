"""Settings models → docs/SETTINGS.md, `.env.example` and `relay.example.yaml`."""

import enum
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from relay.settings import Settings
from relay.settings.options import Option, element_models, is_secret, models_at, models_in, options

_TYPES: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    dict: "mapping",
    Path: "path",
    SecretStr: "secret",
}
SECRETS = Path("/run/secrets")


def settings_page() -> str:
    """docs/SETTINGS.md."""
    text = [
        "# Settings",
        "",
        "Made from `relay/settings/` by `make docs`. Words: [GLOSSARY.md](GLOSSARY.md).",
        "",
        "One YAML file (`--config`, or `relay.yaml` in the working directory when there is one)",
        "and environment variables, which win over it. A variable is the prefix `RELAY_` and the",
        "path of the setting with `__` between its levels. In a variable, a list is separated by",
        "commas (or is JSON), and a mapping is JSON. An empty variable counts as not given.",
        "",
        "Every secret may be given as a file: `…_file` in the YAML file, `…_FILE` in the",
        "environment. A line end at the end of that file is not part of the secret.",
        "",
        "An unknown key is an error that names the nearest known one; all problems are reported at",
        "once, one a line, and the exit status is 3. Two example files list everything:",
        "[relay.example.yaml](../relay.example.yaml) and [.env.example](../.env.example).",
        "",
    ]
    for name, field in Settings.model_fields.items():
        text += [f"## {name}", "", _about(field), ""]
        text += ["| setting and variable | type | default | what it does |", "|---|---|---|---|"]
        text += [_row(option) for option in _documented_section(name, field)]
        text.append("")
    return "\n".join(text)


def env_file() -> str:
    """.env.example."""
    text = [
        "# Every variable that relay reads, with its default: made by `make docs`.",
        "# See docs/SETTINGS.md. What is not commented out has no default and must be given.",
    ]
    for name, field in Settings.model_fields.items():
        text += ["", f"# ---- {name} ----"]
        for option in _options_below(name, field):
            text += ["", *_comment(_description(option))]
            lead = "" if must_be_given(option) else "# "
            text.append(f"{lead}{option.variable}={_env_value(example(option))}")
    return "\n".join(text) + "\n"


def yaml_file() -> str:
    """relay.example.yaml."""
    text = [
        "# yaml-language-server: $schema=schemas/relay.v1.json",
        "# Every setting of relay, with its default: made by `make docs`. See docs/SETTINGS.md.",
        "# What is not commented out has no default and must be given.",
    ]
    for name, field in Settings.model_fields.items():
        text += ["", *_comment(_about(field))]
        if not models_in(field.annotation):
            text.append(f"{name}: {_flow(_default(field))}")
            continue
        text += _yaml_group((name,), list(_options_below(name, field)))
    return "\n".join(text) + "\n"


def documented(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[Option]:
    """The options below a model, and what the elements of lists are made of."""
    for option in options(model, path):
        yield option
        if option.field is not None:
            for inner in element_models(option.field.annotation):
                yield from documented(inner, (*option.path[:-1], option.path[-1] + "[]"))


def must_be_given(option: Option) -> bool:
    """Whether the example files give it: no default, and not inside a group that is optional."""
    groups = [option.path[:length] for length in range(1, len(option.path))]
    return option.field is not None and option.field.is_required() and all(map(_in_use, groups))


def _in_use(path: tuple[str, ...]) -> bool:
    """Whether a group stands in every settings file: it cannot be left out, or changes nothing."""
    for parent in models_at(Settings, path[:-1]):
        field = parent.model_fields.get(path[-1])
        if field is not None and not field.is_required():
            inner = [one for one in options(Settings) if one.path[: len(path)] == path]
            optional = type(None) in get_args(field.annotation)
            return not optional and not any(one.field and one.field.is_required() for one in inner)
    return True


def example(option: Option) -> Any:
    """What an example file shows: the default, else an example of the model's, else nothing."""
    field = option.field
    if field is None or is_secret(field.annotation):
        stem = option.path[-1].removesuffix("_file")
        shown = str(SECRETS / stem) if field is None else "change-me"
        return field.examples[0] if field and field.examples else shown
    default = _default(field)
    if default in (None, PydanticUndefined, [], (), {}) and field.examples:
        return field.examples[0]
    return None if default is PydanticUndefined else default


def _row(option: Option) -> str:
    variable = f"<br>`{option.variable}`" if "[]" not in option.name else ""
    field = option.field
    kind = "path" if field is None else type_text(field)
    default = "-" if field is None else _default_text(field)
    about = _description(option).replace("|", "\\|")
    return f"| `{option.name}`{variable} | {kind} | {default} | {about} |"


def _description(option: Option) -> str:
    if option.field is None:
        return f"A file that holds `{option.path[-1].removesuffix('_file')}`."
    return (option.field.description or "").replace("\n", " ")


def _default_text(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = _default(field)
    if default in (None, [], (), {}) or default == "" or is_secret(field.annotation):
        return "-"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list | dict):
        return f"`{_flow(default)}`"
    return f"`{default}`"


def _default(field: FieldInfo) -> Any:
    return _plain(field.get_default(call_default_factory=True, validated_data={}))


def _plain(value: Any) -> Any:
    """A default as YAML would say it."""
    match value:
        case enum.Enum():
            return value.value
        case Path() | SecretStr() | SecretBytes():
            return str(value)
        case BaseModel():
            return value.model_dump(mode="json", exclude_defaults=True)
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case dict():
            return {str(_plain(key)): _plain(item) for key, item in value.items()}
        case _:
            return value


def type_text(field: FieldInfo) -> str:
    """A type as people say it, with its bounds."""
    bounds = []
    for rule in field.metadata:
        match rule:
            case annotated_types.Ge(ge=limit):
                bounds.append(f"≥ {limit}")
            case annotated_types.Gt(gt=limit):
                bounds.append(f"> {limit}")
            case annotated_types.Le(le=limit):
                bounds.append(f"≤ {limit}")
            case annotated_types.Lt(lt=limit):
                bounds.append(f"< {limit}")
            case _:
                pass
    return " ".join([_type_name(field.annotation), ", ".join(bounds)]).strip()


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(one) for one in arguments if one is not type(None))
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin in (list, set, frozenset, tuple):
        return f"list of {_type_name(arguments[0])}" if arguments else "list"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return ", ".join(f"`{one.value}`" for one in annotation)
    mapping = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return "mapping" if mapping else _TYPES.get(origin or annotation, "text")


def _yaml_group(path: tuple[str, ...], leaves: list[Option]) -> list[str]:
    depth = len(path)
    pad = "  " * depth
    live = depth == 1 or _in_use(path)
    text = [f"{pad[2:]}{'' if live else '# '}{path[-1]}:"]
    groups: set[str] = set()
    for leaf in leaves:
        key = leaf.path[depth]
        if len(leaf.path) == depth + 1:
            mark = "" if must_be_given(leaf) else "# "
            text += ["", *_comment(_description(leaf), pad)]
            text.append(f"{pad}{mark}{key}: {_flow(example(leaf))}")
        elif key not in groups:
            groups.add(key)
            text += [
                "",
                *_yaml_group((*path, key), [one for one in leaves if one.path[depth] == key]),
            ]
    return text


def _flow(value: Any) -> str:
    """A value on one line of YAML."""
    dumped = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return dumped.removesuffix("\n").removesuffix("...").strip()


def _env_value(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list() if all(isinstance(item, str | int) for item in value):
            return ",".join(map(str, value))
        case list() | dict():
            return yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
        case _:
            return str(value)


def _comment(text: str, pad: str = "") -> list[str]:
    return textwrap.wrap(
        text, 96 - len(pad), initial_indent=f"{pad}# ", subsequent_indent=f"{pad}# "
    )


def _options_below(name: str, field: FieldInfo) -> Iterator[Option]:
    """What can be set in a section; one that is a list or a free mapping is set as a whole."""
    models = models_in(field.annotation)
    if not models:
        yield Option((name,), field)
    for model in models:
        yield from options(model, (name,))


def _documented_section(name: str, field: FieldInfo) -> Iterator[Option]:
    models = models_in(field.annotation)
    if not models:
        yield Option((name,), field)
        for model in element_models(field.annotation):
            yield from documented(model, (f"{name}[]",))
    for model in models:
        yield from documented(model, (name,))


def _about(field: FieldInfo) -> str:
    models = models_in(field.annotation)
    return _first_paragraph(models[0]) if models else field.description or ""


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())
