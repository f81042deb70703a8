"""Executions and the segments that they fill: uploads in, members out, state by the clock.

Nothing runs in the background: every request first brings all executions to where they would be by
now. Applying a large file lets other requests through now and then.
"""

import asyncio
import hashlib
import random
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from relay.sandbox.segment_lines import IDENTIFIERS, Row, SegmentName, User, judge, read
from relay.sandbox.stand_in import StandIn
from relay.sandbox.state import State

_SLICE = 5000
_REASON = "user unknown"

ErrorFile = Literal["document", "number", "csv", "opaque", "missing", "none"]
"""What an error file looks like. The vendor does not say: each is one guess.

JSON objects with number, reason and the rejected line; those without the line; a CSV with the
rejected identifiers and a reason; a sentence for people; an address that leads nowhere; none.
"""
Counts = Literal["result", "parameters", "none", "wrong"]
"""Where an execution says how many lines succeeded."""


class ImportOptions(BaseModel):
    """How document imports behave; `PUT /_sandbox/imports` changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    pending_ms: int = Field(default=100, ge=0)
    running_ms: int = Field(default=200, ge=0)
    late_ms: int = Field(default=0, ge=0, description="Executions are listed only so much later.")
    fail_rate: float = Field(default=0, ge=0, le=1, description="Share of executions that fail.")
    fail_applied: float = Field(
        default=0.5, ge=0, le=1, description="Share of the lines that a failed one applied."
    )
    fail_status: str = "FAILED"
    reject_rate: float = Field(default=0, ge=0, le=1, description="Share of lines rejected.")
    reject_containing: str | None = Field(default=None, description="Reject lines with this text.")
    error_file: ErrorFile = "document"
    counts: Counts = "result"
    success_status: str = "SUCCEEDED"
    ids_as_numbers: bool = False
    segments: tuple[str, ...] | None = Field(
        default=None, description="Segments that exist, by id or technical name; None: all."
    )


@dataclass(slots=True)
class ExecutionSeen:
    """One upload and what became of it."""

    id: str
    import_id: str
    created_ms: int
    visible_ms: int
    body: bytes = field(repr=False)
    mime_type: str
    sha256: str
    fails: bool
    status: str = "PENDING"
    final: bool = False
    lines: int = 0
    succeeded: int = 0
    rejected: list[tuple[Row, str]] = field(default_factory=list, repr=False)
    size_bytes: int = 0


class SegmentStore(StandIn):
    """The document imports of all datamarts, and the members of all segments."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._lock = asyncio.Lock()
        self.options: ImportOptions = ImportOptions()
        self.imports: dict[str, dict[str, Any]] = {}
        self.executions: dict[str, ExecutionSeen] = {}
        self.of_import: dict[str, list[ExecutionSeen]] = {}
        self._open: list[ExecutionSeen] = []
        self.members: dict[SegmentName, dict[User, int | None]] = {}
        self.data_bags: dict[tuple[SegmentName, User], str] = {}
        self._ids = 9_007_199_254_740_993  # beyond what a float holds exactly

    def new_id(self) -> str:
        """An id of 64 bits, as text."""
        self._ids += 1
        return str(self._ids)

    def start(self, import_id: str, body: bytes) -> ExecutionSeen:
        """An upload arrived."""
        options = self.options
        now = self._state.now_ms()
        chance = random.Random(f"{options.seed}:{len(self.executions)}")
        seen = ExecutionSeen(
            id=self.new_id(),
            import_id=import_id,
            created_ms=now,
            visible_ms=now + options.late_ms,
            body=body,
            mime_type=self.imports[import_id]["mime_type"],
            sha256=hashlib.sha256(body).hexdigest(),
            fails=chance.random() < options.fail_rate,
            size_bytes=len(body),
        )
        self.executions[seen.id] = seen
        self.of_import.setdefault(import_id, []).append(seen)
        self._open.append(seen)
        return seen

    async def advance(self) -> None:
        """Bring every execution to where it would be by now."""
        async with self._lock:
            now = self._state.now_ms()
            for seen in list(self._open):
                age = now - seen.created_ms
                if age >= self.options.pending_ms:
                    seen.status = "RUNNING"
                if age >= self.options.pending_ms + self.options.running_ms:
                    await self._finish(seen, now)
                    self._open.remove(seen)

    def listed(self, segment: SegmentName) -> list[tuple[User, int | None]]:
        """The members by now, sorted."""
        now = self._state.now_ms()
        found = self.members.get(segment, {})
        return sorted(
            (user, expires) for user, expires in found.items() if expires is None or expires > now
        )

    def error_file(self, seen: ExecutionSeen) -> bytes | None:
        """The content of an execution's error file; None when its address leads nowhere."""
        match self.options.error_file:
            case "opaque":
                return f"{len(seen.rejected)} line(s) could not be imported\n".encode()
            case "csv":
                return _error_csv(seen.rejected)
            case "missing" | "none":
                return None
            case kind:
                lines = [_error_line(row, why, kind == "document") for row, why in seen.rejected]
                return b"".join(lines)

    async def _finish(self, seen: ExecutionSeen, now: int) -> None:
        lines = seen.body.count(b"\n") + 1
        limit = int(lines * self.options.fail_applied) if seen.fails else None
        for row in read(seen.body, seen.mime_type):
            if limit is not None and seen.lines >= limit:
                break
            seen.lines += 1
            if seen.lines % _SLICE == 0:
                await asyncio.sleep(0)
            why = self._take(row, now)
            if why is None:
                seen.succeeded += 1
            else:
                seen.rejected.append((row, why))
        seen.final = True
        seen.body = b""
        seen.status = self.options.fail_status if seen.fails else self.options.success_status

    def _take(self, row: Row, now: int) -> str | None:
        """Apply one line, or say why not."""
        options = self.options
        asked = judge(row.fields)
        if isinstance(asked, str):
            return asked
        user = asked.user(self._state.options.default_compartment_id)
        if options.reject_containing and options.reject_containing.encode() in row.text:
            return _REASON
        chance = random.Random(f"{options.seed}:{user}") if options.reject_rate else None
        if chance is not None and chance.random() < options.reject_rate:
            return _REASON
        known = options.segments
        if known is not None and any(value not in known for _, value in asked.segments):
            return "segment unknown"
        for segment in asked.segments:
            members = self.members.setdefault(segment, {})
            if asked.operation == "DELETE":
                members.pop(user, None)
                continue
            members[user] = asked.expires_ms(now)
            if asked.data_bag is not None:
                self.data_bags[segment, user] = asked.data_bag
        return None


def _error_line(row: Row, why: str, with_document: bool) -> bytes:
    line: dict[str, Any] = {"line_number": row.number, "error": why}
    if with_document:
        line["document"] = row.fields if isinstance(row.fields, dict) else None
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _error_csv(rejected: list[tuple[Row, str]]) -> bytes:
    lines = ["USER_ACCOUNT_ID,EMAIL_HASH,USER_AGENT_ID,ERROR"]
    for row, why in rejected:
        fields = row.fields if isinstance(row.fields, dict) else {}
        cells = [str(fields.get(name, "")) for name in IDENTIFIERS]
        lines.append(",".join('"' + cell.replace('"', '""') + '"' for cell in [*cells, why]))
    return ("\n".join(lines) + "\n").encode()
