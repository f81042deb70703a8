"""Plans, reports and lists of segments → text for people."""

from collections.abc import Sequence

from relay.cli.segments.output import shown
from relay.segments.plan import Plan
from relay.segments.report import Report
from relay.wording import counted


def plan_lines(name: str, plan: Plan, share_max: float) -> list[str]:
    """A plan, a number a line."""
    left_out = f"{counted(plan.without_id, 'row')} without an id, {plan.repeated:,} repeated"
    left = f"{plan.removal_share:.1%} of {counted(plan.members, 'member')}"
    again = "   what became of their last import is not known" if plan.again else ""
    return [
        f"{name}: {counted(plan.users, 'user')} in {counted(plan.rows, 'row')} ({left_out})",
        f"  enter  {plan.entering:>12,}",
        f"  renew  {plan.renewing:>12,}",
        f"  again  {plan.again:>12,}{again}",
        f"  leave  {plan.leaving:>12,}   {left} (a sync stops above {share_max:.0%})",
        f"  stay   {plan.staying:>12,}",
    ]


def report_lines(name: str, report: Report) -> list[str]:
    """What a run did."""
    resumed = ", continued after an interruption" if report.resumed else ""
    if report.ended is None:
        when = f" since {shown(report.began)}: the next one goes on with it"
    else:
        when = f" at {shown(report.ended)}"
    lines = [f"{name}: {report.outcome}{when}{resumed}", f"  {_sent(report)}"]
    lines += [
        f"  rejected: {count:,} times {why or '?'}" for why, count in report.rejections.items()
    ]
    if report.adopted:
        lines.append(f"  {counted(report.adopted, 'execution')} found again after a lost answer")
    if report.members:
        unsure = f", {report.unsure:,} of them unsure" if report.unsure else ""
        lines.append(f"  {counted(report.members, 'member')}{unsure}")
    if report.problem:
        lines.append(f"  {report.problem}")
    return lines


def _sent(report: Report) -> str:
    if not report.commands:
        return "nothing was to be sent" if report.outcome == "done" else "nothing was sent"
    files = counted(report.parts, "file")
    taken = f"{report.succeeded:,} taken, {report.rejected:,} rejected"
    return f"{counted(report.commands, 'command')} in {files} ({report.bytes:,} bytes): {taken}"


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Columns as wide as what stands in them."""
    cells = [list(titles), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(titles))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
