"""A YAML file and `RELAY_…` variables → `Settings`, judged as a whole before anything starts.

    settings = load(path)                    # all sections
    settings = load(path, needs=["kafka"])   # what other sections lack is not an error

Each section is a file here; its model documents every setting, and has methods that build the
frozen policies of the algorithms. This package is the only reader of the environment.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from relay.errors import SettingsError
from relay.settings.admin import AdminSettings
from relay.settings.dead_letter import DeadLetterSettings
from relay.settings.delivery import DeliverySettings
from relay.settings.destinations import (
    DestinationSettings,
    Sending,
    by_name,
    destination_problems,
)
from relay.settings.http import HttpSettings, clear_problems
from relay.settings.kafka import KafkaSettings
from relay.settings.log import LogSettings
from relay.settings.options import is_optional, models_in
from relay.settings.problems import model_problems, unknown, variable_problems
from relay.settings.secrets import resolve_secrets
from relay.settings.segments import SegmentsSettings
from relay.settings.sources import (
    Given,
    drop_empty_groups,
    merge,
    process_environ,
    read_environ,
)
from relay.settings.topics import NEEDS_REGISTRY, SourceSettings, source_problems
from relay.settings.tracing import TracingSettings
from relay.settings.tracking import TrackingSettings
from relay.settings.yaml_file import read_file
from relay.sources.formats import FormatPolicy
from relay.sources.registry.policy import RegistryPolicy
from relay.stream.mapping.policy import ActivityPolicy, IdentityPolicy
from relay.stream.policy import EnginePolicy
from relay.stream.routing import RoutingPolicy
from relay.yaml_text import Located

DEFAULT_FILE = Path("relay.yaml")
_COMMIT_S = 5.0  # from the end of a drain until its commit is there


class Settings(BaseModel):
    """All settings. A section that a command did not need, and that lacks a value, is absent."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kafka: KafkaSettings = Field(description="Where records come from.")
    dead_letter: DeadLetterSettings = Field(description="Where undeliverable records go.")
    tracking: TrackingSettings = Field(description="Where activities go.")
    destinations: list[DestinationSettings] = Field(
        default_factory=list,
        description="Several datamarts, each with a `name`, and sent to by itself: what one of "
        "them meets holds up no other. With `tracking` beside them, that one is called `default`; "
        "without it, `tracking` may be left out (docs/DESTINATIONS.md).",
    )
    routing: RoutingPolicy = Field(
        default_factory=RoutingPolicy,
        description="Which of `destinations` an event goes to. An event that names none that is "
        "known is a dead letter (`unknown_destination`).",
    )
    delivery: DeliverySettings = Field(description="How they get there.")
    sources: list[SourceSettings] = Field(
        default_factory=list,
        description="What stands on which topic. The first that fits a topic is the one for it; a "
        "topic that none fits is in Relay's own format.",
    )
    mappings: dict[str, Any] = Field(
        default_factory=dict,
        description="Mappings by name, for `sources` (docs/MAPPING.md).",
    )
    schema_registry: RegistryPolicy | None = Field(
        None, description="Where the schemas of records are, for `sources` that need them."
    )
    decoding: FormatPolicy = Field(description="Reading records.")
    identity: IdentityPolicy = Field(description="Whose an activity is.")
    mapping: ActivityPolicy = Field(description="Events to activities.")
    segments: SegmentsSettings = Field(description="Audience segments, beside the stream.")
    http: HttpSettings = Field(description="What holds for all HTTP requests that Relay makes.")
    admin: AdminSettings = Field(description="Health, metrics and status over HTTP.")
    log: LogSettings = Field(description="The lines on standard output.")
    tracing: TracingSettings = Field(description="Spans of single events, by OpenTelemetry.")

    @property
    def sending(self) -> Mapping[str, Sending]:
        """Every destination, by its name; that of `tracking` is called `default`."""
        return by_name(getattr(self, "tracking", None), self.destinations)

    def policies(self) -> Mapping[str, EnginePolicy]:
        """What the engine goes by for each destination."""
        return {name: one.policy(self.delivery) for name, one in self.sending.items()}

    @property
    def shares_rate(self) -> bool:
        """Whether the members of the group share a rate to any destination."""
        return any(one.destination.rate.rate_shared for one in self.policies().values())

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        for problem in self.disagreements():
            raise ValueError(problem)
        return self

    def disagreements(self) -> Iterator[str]:
        """A line for each thing that sections say against one another."""
        budget, timeout = self.delivery.revoke_budget_s, self.kafka.rebalance_timeout_s
        if timeout < budget + _COMMIT_S:
            yield (
                f"kafka.rebalance_timeout_s ({timeout:g}) must be longer than "
                f"delivery.revoke_budget_s ({budget:g}) by {_COMMIT_S:g} s: partitions are drained "
                "and committed before the group gives them away"
            )
        for number, source in enumerate(self.sources):
            if source.format in NEEDS_REGISTRY and self.schema_registry is None:
                yield (
                    f"sources[{number}].format: {source.format} needs a schema registry "
                    "(set schema_registry.urls)"
                )
        if self.segments.membership.enabled and not hasattr(self, "tracking"):
            yield (
                "segments.membership.enabled: segment events go to the datamart of `tracking`: "
                "give that section beside `destinations`"
            )


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    needs: Collection[str] | None = None,
) -> Settings:
    """Read the file and the environment; the environment wins.

    `path` None means ./relay.yaml when there is one. `needs` names the sections that the caller
    will use (None: all): values missing from another section are no error, and that section is
    then absent. Raises SettingsError with every problem, one a line.
    """
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    low = Given() if path is None else read_file(path)
    if low.problems and not low.data:  # unreadable: what else it holds or lacks is not known
        raise SettingsError("\n".join(low.problems))
    high = read_environ(process_environ() if environ is None else environ, Settings)
    given = merge(low, high)
    given.file = path is not None
    drop_empty_groups(given.data, Settings)
    resolve_secrets(given, Settings, low, high)
    problems = [*given.problems, *variable_problems(given, Settings)]
    sections = _sections(given, needs, problems)
    if "sources" in sections and "mappings" in sections:
        located = Located(given.data, given.origins)
        problems.extend(source_problems(sections["sources"], sections["mappings"], located))
    if "destinations" in sections and "routing" in sections:
        problems.extend(
            destination_problems(
                sections["destinations"],
                sections["routing"],
                has_tracking=given.data.get("tracking") is not None,
                given=Located(given.data, given.origins),
            )
        )
    if "http" in sections:
        problems.extend(clear_problems(sections, given, sections["http"]))
    optional = {"tracking"} if _has_others(given, needs) else set[str]()
    settings = None if problems else _whole(sections, optional, problems)
    if settings is None:
        raise SettingsError("\n".join(dict.fromkeys(problems)))
    return settings


def _sections(given: Given, needs: Collection[str] | None, problems: list[str]) -> dict[str, Any]:
    problems.extend(
        unknown((name,), given, Settings)
        for name in given.data
        if name not in Settings.model_fields
    )
    sections: dict[str, Any] = {}
    # What a section that is not given, or not complete, is:
    #
    #     | the section                       | so                                             |
    #     |-----------------------------------|------------------------------------------------|
    #     | not given, a group of settings    | judged as an empty one: it may need nothing    |
    #     | not given, a list, or optional    | its default                                    |
    #     | `tracking`, beside `destinations` | absent: they take its place                    |
    #     | lacks a value, and is not needed  | absent: the command does without it            |
    #     | wrong in any other way            | told, needed or not: it would be wrong later   |
    for name, field in Settings.model_fields.items():
        empty = field.get_default(call_default_factory=True, validated_data={})
        data = given.data.get(name)
        if name == "tracking" and data is None and _has_others(given, needs):
            continue
        if data is None:  # not there, or a header whose lines are all commented out
            group = models_in(field.annotation) and not is_optional(field.annotation)
            data = {} if group else empty
        try:
            sections[name] = TypeAdapter[Any](field.annotation or Any).validate_python(data)
        except ValidationError as error:
            found = list(model_problems(error, given, Settings, (name,)))
            if needs is None or name in needs or not all(missing for missing, _ in found):
                problems.extend(line for _, line in found)
    return sections


def _has_others(given: Given, needs: Collection[str] | None) -> bool:
    """Whether `tracking` may be absent, because there are destinations and they are wanted."""
    return bool(given.data.get("destinations")) and (needs is None or "destinations" in needs)


def _whole(
    sections: dict[str, Any], optional: Collection[str], problems: list[str]
) -> Settings | None:
    """All sections, held against one another unless some are missing that are not `optional`."""
    # Sections are held against one another only when all are there that the settings need: of what
    # is absent nothing is known.
    missing = Settings.model_fields.keys() - sections.keys()
    if not missing.issubset(optional):
        return Settings.model_construct(None, **sections)
    if missing:
        made = Settings.model_construct(None, **sections)
        problems.extend(made.disagreements())
        return None if problems else made
    try:
        return Settings.model_validate(sections)
    except ValidationError as error:  # what sections say about one another
        problems.extend(line for _, line in model_problems(error, Given(), Settings, ()))
        return None
