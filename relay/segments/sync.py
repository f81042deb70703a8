"""One sync: export → compare with what was imported last → import the difference → verify.

Each step leaves what it found in the ledger and on the disk before the next begins, so a run that
was cut off anywhere is gone on with. What can be repeated without harm is repeated (a download, a
comparison, writing files); what cannot is looked up first (`relay.segments.driver`).
"""

import json
import math
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from relay.apis.errors import ExportError, ExportExpired, ExportOverdue
from relay.disk import disk_errors
from relay.errors import InputError
from relay.segments.errors import SegmentStopped
from relay.segments.exporting import Exporter
from relay.segments.ledger import Outcome, Run, Stage
from relay.segments.lines import line_writer
from relay.segments.members import LOTS, changes, compare, load, next_places
from relay.segments.parts import Part, write_parts
from relay.segments.plan import Plan, check_safety
from relay.segments.policy import SyncPolicy
from relay.segments.progress import told
from relay.segments.report import Report, report
from relay.segments.runs import EXPORT, Runs
from relay.segments.user_ids import read_users


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What is asked of one run."""

    plan_only: bool = False
    file: Path | None = None
    """Import this instead of a new export."""
    fresh: bool = False
    """Begin anew even if a run can be gone on with; what is under way is seen through first."""
    allow_removals: bool = False
    allow_empty: bool = False
    allow_growth: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync(Runs):
    """Runs one sync."""

    policy: SyncPolicy
    exporter: Exporter | None
    """None where the users come from a file."""

    async def run(self, request: SyncRequest) -> Report:
        """Go on with the open run, or begin one, and take it to its end.

        What may pass (no connection, a full disk, a refused token) leaves the run open; what would
        only fail again ends it, and the next sync begins a new one.
        """
        run, resumed = await self._open_run(request)
        try:
            run = await self._until_compared(run, request)
            if request.plan_only:
                if run.stage is Stage.COMPARED:
                    run = self.end(run, Outcome.PLANNED)
                return report(self.ledger, run, resumed=resumed)
            if run.stage is Stage.COMPARED and (plan := run.plan) is not None:
                run = self._check_safety(run, plan, request)
                run = self._write(run, plan)
            await self.upload(run, self.policy.upload)
            run = self.finish(run, "the next sync sends those users again")
        except SegmentStopped as error:
            self.end(run, Outcome.STOPPED, error)
            raise
        except (InputError, ExportError) as error:
            if not isinstance(error, ExportOverdue):
                self.end(run, Outcome.FAILED, error)
            raise
        return report(self.ledger, run, resumed=resumed)

    async def _open_run(self, request: SyncRequest) -> tuple[Run, bool]:
        """The run to work on, and whether it was begun before."""
        run = self.ledger.open_run()
        if run is not None:
            usable = not (request.fresh or request.file or self._is_stale(run))
            if usable or (request.plan_only and run.stage is Stage.WRITTEN):
                return run, True
            if run.stage is Stage.WRITTEN:
                await self._see_through(run)
            self.end(run, Outcome.ABANDONED)
        return self._begin(request), False

    def _begin(self, request: SyncRequest) -> Run:
        source = "file" if request.file else self.policy.source_segment_id
        run = self.begin(self.policy.name, source)
        if request.file is None:
            return run
        self._copy(request.file)
        return self.ledger.move(run, Stage.DOWNLOADED, exported_ms=self.now())

    def _copy(self, file: Path) -> None:
        """Keep the file: a run that is cut off goes on with what it began with."""
        try:
            opened = file.open("rb")
        except OSError as error:
            raise InputError(f"{file}: cannot be read: {error.strerror}") from None
        with opened, disk_errors(self.directory), (self.directory / EXPORT).open("wb") as kept:
            shutil.copyfileobj(opened, kept)

    def _is_stale(self, run: Run) -> bool:
        """Whether what it would import is too old, or from elsewhere by now."""
        since_ms = run.exported_ms or run.began_ms
        old = self.now() - since_ms > self.policy.stale_after_s * 1000
        return old or run.source not in (self.policy.source_segment_id, "file")

    async def _until_compared(self, run: Run, request: SyncRequest) -> Run:
        expired = 0
        while run.stage not in (Stage.COMPARED, Stage.WRITTEN):
            match run.stage:
                case Stage.ASKED:
                    export = await self._exporter.ask(self.policy.source_segment_id)
                    run = self.ledger.move(run, Stage.EXPORTING, export_id=export.export_id)
                case Stage.EXPORTING:
                    try:
                        run = await self._export(run)
                    except ExportExpired as error:
                        expired += 1
                        if expired > 1:
                            raise
                        self.progress.note(f"{error.problem}; asking for a new export")
                        run = self.ledger.move(run, Stage.ASKED, export_id=None)
                case Stage.DOWNLOADED:
                    run = self._compare(run, request)
        return run

    async def _export(self, run: Run) -> Run:
        export = await self._exporter.wait(run.export_id or "")
        await self._exporter.download(export.filename or "", self.directory / EXPORT)
        done = export.end_time or export.start_time
        return self.ledger.move(run, Stage.DOWNLOADED, exported_ms=int(done.timestamp() * 1000))

    def _compare(self, run: Run, request: SyncRequest) -> Run:
        self.progress.begin("reading the export", None, "rows")
        path = self.directory / EXPORT
        users = read_users(path, self.policy.ids, called=request.file)
        with self.ledger.scratch() as db:
            loaded = load(db, told(self.progress, users))
        rows, without = loaded
        if rows == without and not request.allow_empty:
            raise InputError(
                f"the export names no user in {rows} rows ({request.file or path}): "
                "nothing was uploaded",
                hint="if the segment is empty by intent, run it once with --allow-empty",
            )
        self.progress.begin("comparing with the last import")
        with self.ledger.writing() as db:
            plan = compare(db, loaded, self.policy.expiry, self.now())
            return self.ledger.move(run, Stage.COMPARED, plan=json.dumps(asdict(plan)))

    def _check_safety(self, run: Run, plan: Plan, request: SyncRequest) -> Run:
        meant: dict[str, float] = {}
        if request.allow_removals:
            meant |= {"removal_share_max": 1.0, "shrink_share_max": 1.0}
        if request.allow_growth:
            meant |= {"growth_factor_max": math.inf}
        safety = self.policy.safety.model_copy(update=meant)
        since_ms = self.now() - int(safety.look_back_days * 86_400_000)
        check_safety(plan, safety, *self.ledger.sizes(since_ms))
        return self.ledger.move(run, run.stage, allowed=int(request.allow_removals))

    def _write(self, run: Run, plan: Plan) -> Run:
        if plan.commands:
            self.progress.begin("writing files", plan.commands, "lines")
        minutes = self.policy.expiry.minutes
        header, line = line_writer(self.policy.target, minutes, self.policy.form)
        written: list[Part] = []
        with self.ledger.scratch() as db:
            for lot in LOTS:
                before = lot.first_place - 1
                users = told(self.progress, changes(db, lot))
                for part in write_parts(
                    (line(user, operation) for user, operation in users),
                    self.directory,
                    self.policy.form.value,
                    header=header,
                    bytes_max=self.policy.part_bytes_max,
                    after=len(written),
                ):
                    places = next_places(db, before, part.lines)
                    written.append(replace(part, **places._asdict()))
                    before = places.last_place
        return self.ledger.add_parts(run, written, self.policy.form, minutes)

    async def _see_through(self, run: Run) -> None:
        """Wait for what an old run has under way; what it has not begun is left to the new one."""
        self.progress.note(f"{run.name} is out of date: seeing through what it has under way")
        await self.upload(run, self.policy.upload.model_copy(update={"attempts_max": 0}))

    @property
    def _exporter(self) -> Exporter:
        if self.exporter is None:
            raise AssertionError("a run from a file asks for no export")
        return self.exporter
