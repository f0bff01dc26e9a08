"""Run the benchmarks and print their results: `python -m tests.bench [--only PARTS] [--write]`."""

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

import uvloop
from marketstream.local.servers import EmbeddedServers
from marketstream.telemetry import configure_logging

from tests.bench import commit, latency, pipeline, pure, report

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "performance.md"

PARTS = "pure,pipeline,commit,latency"

Show = Callable[[str, str, str], None]


def main() -> None:
    """Run the chosen benchmarks. A missed goal does not change the exit code."""
    parser = ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", default=PARTS, help="comma-separated benchmarks to run (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"also write the results to {PAGE.name}")
    parser.add_argument("--repetitions", type=int, default=5, help="number of measurements (default: %(default)s)")
    given = parser.parse_args()
    if unknown := set(given.only.split(",")) - set(PARTS.split(",")):
        parser.error(f"unknown benchmarks: {', '.join(unknown)}; expected some of {PARTS}")
    configure_logging("warning")
    uvloop.run(_run(given))


async def _run(given: Namespace) -> None:
    sections: dict[str, str] = {}

    def show(name: str, title: str, table: str) -> None:
        sections[name] = table
        print(f"\n{title}\n\n{table}", flush=True)

    only = given.only.split(",")
    if "pure" in only:
        show("pure", "The core alone, CPU time", report.pure_table(_pure(given.repetitions)))
    if set(only) - {"pure"}:
        with tempfile.TemporaryDirectory(prefix="marketstream-bench-") as folder:
            async with EmbeddedServers(Path(folder), lambda line: print(line, file=sys.stderr)) as servers:
                await _with_servers(only, servers, given.repetitions, show)
    sections["machine"] = report.machine()
    print(f"\n{sections['machine']}")
    if given.write:
        page = PAGE.read_text()
        for name, text in sections.items():
            if f"<!-- {name} -->" in page:
                page = report.replace_section(page, name, text)
            else:
                print(f"{PAGE.name} has no section {name}: not written", file=sys.stderr)
        PAGE.write_text(page)
        print(f"wrote {PAGE}")


def _pure(repetitions: int) -> list[pure.Measured]:
    return [
        pure.measure(packing, trades, repetitions) for packing, trades in ((1, 50_000), (10, 200_000), (50, 400_000))
    ]


async def _with_servers(only: list[str], servers: EmbeddedServers, repetitions: int, show: Show) -> None:
    if "pipeline" in only:
        measured = [await pipeline.measure(servers, load, repetitions) for load in pipeline.LOADS]
        show("pipeline", "From Kafka to committed candles, CPU time of one process", report.pipeline_table(measured))
    if "commit" in only:
        commits = await commit.measure(servers, 6 * repetitions)
        show("commit", "One commit, rollups included", report.commit_table(commits))
    if "latency" in only:
        latencies = await latency.measure(servers)
        show("latency", "From the exchange to a client of /ws", report.latency_table(latencies))


if __name__ == "__main__":
    main()
