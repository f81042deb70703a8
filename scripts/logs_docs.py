"""Facts → docs/LOGS.md."""

import textwrap

from relay.telemetry.facts import Fact, all_facts


def logs_page() -> str:
    """docs/LOGS.md."""
    text = [
        "# Logs",
        "",
        "Made from `relay/telemetry/facts.py` by `make docs`.",
        "",
        "Relay writes *facts* to standard output, one a line: JSON when standard output is not a",
        "terminal (or with `log.format: json`), a readable form when it is. There is no line per",
        "event above the level `debug`. No line holds personal data or a secret.",
        "",
        "Every line has",
        "",
        "| field | meaning |",
        "|---|---|",
        "| `at` | When, in UTC (RFC 3339). |",
        "| `level` | `debug`, `info`, `warning`, or `error`: somebody has to act. |",
        "| `fact` | What happened: one of the names below. |",
        "| `stage` | Which part of the road speaks. |",
        "",
        "A fact with a counter moves it on `/metrics` at the same moment.",
        "",
    ]
    for fact in all_facts():
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
