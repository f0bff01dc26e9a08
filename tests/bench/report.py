"""Tables of the results in Markdown, for the terminal and for docs/reference/performance.md."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import commit, latency, pipeline, pure

RATIO_GOAL = 0.6


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (head, rule, *rows)
    )


def machine() -> str:
    """Return a line about this machine, the date and the load."""
    cpu = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpu.read_text()) if cpu.exists() else None
    return (
        f"{model[1].strip() if model else platform.processor()}, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}, load {os.getloadavg()[0]:.1f} at the end"
    )


def pipeline_table(measured: Sequence[pipeline.Measured]) -> str:
    """Return the table of the way from Kafka to committed candles."""
    head = (
        "trades a record",
        "only reading /s",
        "processor /s",
        "ratio",
        "goal",
        "of each pair",
        "/s by the clock",
        "goal /s",
    )
    return table(head, [_pipeline_row(one) for one in measured])


def _pipeline_row(one: pipeline.Measured) -> tuple[str, ...]:
    trades, goal = one.load.trades, one.load.goal
    rate = trades / one.processing.cpu_s
    return (
        str(one.load.packing),
        _rate(trades / one.reading.cpu_s),
        _rate(rate),
        f"{one.ratio:.0%}",
        f"{RATIO_GOAL:.0%} {_met(one.ratio >= RATIO_GOAL)}",
        " ".join(f"{ratio:.0%}" for ratio in one.ratios),
        f"{_rate(trades / one.reading.clock_s)}, {_rate(trades / one.processing.clock_s)}",
        f"{_rate(goal)} {_met(rate >= goal)}" if goal else "",
    )


def commit_table(measured: Sequence[commit.Measured]) -> str:
    """Return the table of commits."""
    head = ("symbols", "median ms", "p95 ms", "CPU of the process, µs a symbol")
    rows = [(str(one.symbols), f"{one.median_ms:.1f}", f"{one.p95_ms:.1f}", f"{one.cpu_us:.0f}") for one in measured]
    return table(head, rows)


def pure_table(measured: Sequence[pure.Measured]) -> str:
    """Return the table of the core alone."""
    head = ("trades a record", "decode, µs a trade", "decode and count, µs a trade")
    return table(head, [(str(one.packing), f"{one.decode_us:.3f}", f"{one.count_us:.3f}") for one in measured])


def latency_table(measured: Sequence[latency.Measured]) -> str:
    """Return the table of the latency from the exchange to a client of /ws."""
    head = ("ms until the client has the message", "messages", "p50", "p99", "greatest", "goal of p99")
    return table(head, [_latency_row(one) for one in measured])


def _latency_row(one: latency.Measured) -> tuple[str, ...]:
    goal = f"< {one.goal_ms:.0f} {_met(one.p99 < one.goal_ms)}" if one.goal_ms is not None else ""
    return one.what, str(len(one.ms)), f"{one.p50:.1f}", f"{one.p99:.1f}", f"{max(one.ms):.1f}", goal


def memory_table(rows: Sequence[tuple[str, float, float, float]]) -> str:
    """Return the table of the services' memory, from rows of name, MB at the end, limit in MB, and MB per hour."""
    head = ("service", "MB at the end", "goal", "MB/h over the second half")
    return table(
        head,
        [(name, f"{mb:.1f}", f"< {limit:.0f} {_met(mb < limit)}", f"{slope:+.1f}") for name, mb, limit, slope in rows],
    )


def replace_section(page: str, name: str, text: str) -> str:
    """Return the page with the text between the marks of a section. Raises ValueError if the page lacks them."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in page or end not in page:
        raise ValueError(f"the page has no section {begin} … {end}")
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"


def _rate(per_second: float) -> str:
    return f"{round(per_second, -3):,.0f}"


def _met(is_met: bool) -> str:
    return "✓" if is_met else "missed"
