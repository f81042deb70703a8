"""docs/RUNBOOK.md and docs/OPERATIONS.md → the page that the admin port shows beside troubles.

Links to other files lead nowhere from there, so their words stay and the links go.
"""

import re
from pathlib import Path

from markdown_it import MarkdownIt

_DOCS = Path(__file__).parent.parent / "docs"
_PAGES = ("RUNBOOK.md", "OPERATIONS.md")


def runbook_page() -> str:
    """relay/telemetry/page/runbook.html."""
    text = "\n".join((_DOCS / page).read_text(encoding="utf-8") for page in _PAGES)
    text = re.sub(rf"\]\((?:{'|'.join(_PAGES)})#", "](#", text)
    text = re.sub(r"\[([^\]]+)\]\((?!#)[^)]*\)", r"\1", text)
    body = MarkdownIt("commonmark").enable("table").render(text)
    body = re.sub(r"<h([23])>(.+?)</h\1>", _with_anchor, body)
    body = re.sub(
        r' style="text-align:right"', ' class="number"', body
    )  # the policy forbids styles
    # So that a narrow screen scrolls the table and not the page, also by keyboard.
    body = body.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    body = body.replace("</table>", "</table></div>")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Relay runbook</title>
<link rel="stylesheet" href="page.css">
<link rel="icon" href="icon.svg">
</head>
<body class="text">
<main>
<p><a href="./">Back to the live page</a></p>
{body}</main>
</body>
</html>
"""


def _with_anchor(found: re.Match[str]) -> str:
    level, title = found[1], found[2]
    name = re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
    return f'<h{level} id="{name}">{title}</h{level}>'
