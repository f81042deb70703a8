"""Facts → docs/LOGS.md."""

import textwrap

from relay.telemetry.facts import Fact
from scripts.every_fact import every_fact

_COMMON_KEYS = (
    "| meaning | `log.fields: default` | `ecs` | `otel` |",
    "|---|---|---|---|",
    "| when, in UTC | `timestamp` (RFC 3339) | `@timestamp` | `Timestamp` (nanoseconds, as text) |",
    "| severity; `error`: somebody has to act | `level` | `log.level` | `SeverityText` |",
    "| what happened: one of the names below | `event` | `message` | `Body` |",
    "| which part of Relay logs it | `stage` | `event.dataset` | `Attributes.stage` |",
    "| what the event has (below) | beside these | under `relay` | under `Attributes` |",
)


def logs_page() -> str:
    """docs/LOGS.md."""
    text = [
        "# Logs",
        "",
        "Made by `make docs` from the files of facts, `relay/…/facts.py`, in their order.",
        "",
        "Relay writes one event of its own a line to standard output: JSON when standard output is",
        "not a terminal (or with `log.format: json`), a readable form when it is. No level has a",
        "line for each record that is delivered. No line holds personal data or a secret.",
        "[LOG_QUERIES.md](LOG_QUERIES.md) has questions and the `jq` that answers them,",
        "[GLOSSARY.md](GLOSSARY.md) the words.",
        "",
        "Every line has",
        "",
        *_COMMON_KEYS,
        "",
        "`log.level` is the minimum level, `log.levels` that of single stages. An event with a",
        "counter moves it on `/metrics` at the same moment, whether its line is written or not.",
        "",
    ]
    for fact in every_fact():
        text += _fact_paragraphs(fact)
    return "\n".join(text)


def _fact_paragraphs(fact: type[Fact]) -> list[str]:
    doc = textwrap.dedent("    " + (fact.__doc__ or "")).strip()
    text = [f"## {fact.name()}", "", doc, ""]
    said = f"Level `{fact.level}`, stage `{fact.stage}`"
    if fact.counter:
        labels = f"{{{', '.join(fact.counter.labels)}}}" if fact.counter.labels else ""
        said += f", counter `{fact.counter.name}{labels}`"
    text += [said + ".", ""]
    fields = list(fact.described())
    if fields:
        text += ["| field | meaning |", "|---|---|"]
        text += [f"| `{name}` | {meaning} |" for name, meaning in fields]
        text.append("")
    return text
