"""Memory over time: within its limits and flat. SOAK_MINUTES sets the minutes (default 10)."""

import os
from pathlib import Path

import pytest

from tests.bench.report import memory_table
from tests.soak.memory import LIMITS_MB, measure

MINUTES = float(os.environ.get("SOAK_MINUTES", "10"))

LEAK_MB = 2.0
"""The growth in MB allowed from the third quarter of the run to the fourth, for caches and freed blocks.

In a run of ten minutes that is 48 MB per hour, which a leak of a few hundred bytes for each trade would exceed.
"""


@pytest.mark.soak
async def test_memory_of_each_service_is_within_its_limit_and_flat(tmp_path: Path) -> None:
    memory = await measure(tmp_path, MINUTES)
    print()
    print(memory_table([(name, of.last, LIMITS_MB[name], of.slope) for name, of in memory.items()]))
    for name, of in memory.items():
        assert of.last < LIMITS_MB[name], f"{name} uses {of.last:.1f} MB, the limit is {LIMITS_MB[name]:.0f}"
        quarter_h = MINUTES / 60 / 4
        if MINUTES >= 5:  # in shorter runs the caches are still filling
            assert of.slope * quarter_h < LEAK_MB, f"{name} grows by {of.slope:.1f} MB per hour"
