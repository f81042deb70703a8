"""Segment command ⇄ one line of an import file, in either format that the platform takes.

NDJSON is documented by sample. For CSV the page documents the fields only; that the header is in
upper case is what the vendor's own interface writes, and that lists stand in a cell as JSON is the
page's example of a list. Separator, quoting and line end are inferred: comma, double quotes where
needed, LF.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import orjson
from pydantic import ValidationError

from relay.errors import InputError
from relay.segments.model import SegmentCommand
from relay.segments.text_file import cut_off, lines, rows

COLUMNS = tuple(SegmentCommand.model_fields)
_LISTS = ("segment_ids", "segment_technical_names")
_NUMBERS = ("expiration_duration", "expiration_ts")
_WHOLE = re.compile(r"-?[0-9]+")
# Everything that some reader takes for the end of a line, what no identifier holds, and what no two
# systems treat alike.
CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")


class FileFormat(StrEnum):
    """A format of import file."""

    NDJSON = "ndjson"
    CSV = "csv"

    @property
    def mime_type(self) -> str:
        """The platform's word for it, in a document import."""
        return {"ndjson": "APPLICATION_X_NDJSON", "csv": "TEXT_CSV"}[self.value]

    @property
    def content_type(self) -> str:
        """Its HTTP content type. For CSV inferred."""
        return {"ndjson": "application/x-ndjson", "csv": "text/csv"}[self.value]

    @property
    def has_header(self) -> bool:
        """Whether its first line names columns."""
        return self is FileFormat.CSV

    @classmethod
    def of_mime_type(cls, mime_type: str) -> "FileFormat":
        """The format of a mime type, by the platform's word or by HTTP's."""
        for known in cls:
            if mime_type.strip().lower() in (known.mime_type.lower(), known.content_type):
                return known
        raise InputError(
            f"mime type {mime_type}: the platform takes segment commands as "
            f"{' or '.join(known.mime_type for known in cls)} only"
        )

    @classmethod
    def of_file(cls, path: Path) -> "FileFormat":
        """The format that the file's name tells."""
        suffix = Path(path.name.lower().removesuffix(".gz")).suffix
        if suffix in (".ndjson", ".jsonl", ".json"):
            return cls.NDJSON
        if suffix == ".csv":
            return cls.CSV
        raise InputError(
            f"{path}: the name does not tell the format", hint="say --format ndjson or csv"
        )


@dataclass(frozen=True, slots=True)
class Encoder:
    """How commands become lines: bytes that open each file, and a line for each command."""

    header: bytes
    line: Callable[[SegmentCommand], bytes]


def encoder(form: FileFormat, columns: tuple[str, ...] = COLUMNS) -> Encoder:
    """The encoder of a format. `columns` are those that a CSV has."""
    if form is FileFormat.NDJSON:
        return Encoder(b"", _to_ndjson)
    header = ",".join(columns).upper() + "\n"
    return Encoder(header.encode(), lambda command: _to_csv(command, columns))


def read_commands(path: Path, form: FileFormat) -> Iterator[tuple[int, SegmentCommand]]:
    """The commands of a file, each with the number of the line on which it starts."""
    return _read_ndjson(path) if form is FileFormat.NDJSON else _read_csv(path)


def _to_ndjson(command: SegmentCommand) -> bytes:
    return orjson.dumps(command.model_dump(exclude_none=True), option=orjson.OPT_APPEND_NEWLINE)


def _to_csv(command: SegmentCommand, columns: tuple[str, ...]) -> bytes:
    given = command.model_dump(exclude_none=True)
    if not given.keys() <= set(columns):
        missing = sorted(given.keys() - set(columns))
        raise InputError(f"the CSV has no column for {', '.join(missing)}")
    return csv_line([_cell(name, given.get(name)) for name in columns])


def csv_line(cells: list[str]) -> bytes:
    """One row. A cell must stay on its line: nobody knows how the platform cuts the file."""
    if any(CONTROL.search(cell) for cell in cells):
        raise InputError(
            "an identifier holds a line break or another control character",
            hint="write the file as ndjson",
        )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if name in _LISTS:
        return orjson.dumps(value).decode()
    if name == "data_bag":  # in JSON a bare line break is white space and nothing else
        return str(value).replace("\r", " ").replace("\n", " ").replace("\t", " ")
    return str(value)


def _read_ndjson(path: Path) -> Iterator[tuple[int, SegmentCommand]]:
    for number, line in lines(path):
        if line.strip():
            yield number, _validated(path, number, line)


def _read_csv(path: Path) -> Iterator[tuple[int, SegmentCommand]]:
    table = rows(path)
    number, header, _ = next(table, (1, [], 0))
    names = [cell.strip().lower() for cell in header]
    for column, name in enumerate(names, start=1):
        if name not in COLUMNS:
            raise InputError(
                f"{path}:{number}: column {column} is no field of a segment command",
                hint=f"the first line must name columns out of {', '.join(COLUMNS).upper()}",
            )
        if name in names[: column - 1]:
            raise InputError(f"{path}:{number}: column {column}: {name.upper()} stands twice")
    for number, cells, open_end in table:
        if open_end:
            raise cut_off(path, open_end)
        yield number, _validated(path, number, _to_json(path, number, names, cells))


def _to_json(path: Path, number: int, names: list[str], cells: list[str]) -> bytes:
    fields: dict[str, object] = {}
    for name, cell in zip(names, cells, strict=True):
        if cell == "":
            continue
        try:
            if name in _LISTS:
                fields[name] = orjson.loads(cell)
            else:
                whole = name in _NUMBERS and _WHOLE.fullmatch(cell)
                fields[name] = int(cell) if whole else cell
        except orjson.JSONDecodeError:
            raise InputError(
                f"{path}:{number}: {name.upper()}: should be a JSON list of strings"
            ) from None
    return orjson.dumps(fields)


def _validated(path: Path, number: int, document: bytes) -> SegmentCommand:
    try:
        return SegmentCommand.model_validate_json(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid" or document.lstrip()[:1] != b"{":
            raise InputError(
                f"{path}:{number}: the line is not one whole command",
                hint="one JSON object a line: not spread over several lines, no list around them, "
                "no commas between them",
            ) from None
        field = ".".join(str(part) for part in first["loc"])
        where = f"{path}:{number}: {field}" if field else f"{path}:{number}"
        raise InputError(f"{where}: {first['msg']}") from None
