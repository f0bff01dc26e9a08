"""A plugin of pytest that deselects the tests that need recordings of exchanges.

Usage: `PYTHONPATH=. pytest -p tests.workflows.without_recordings`.
"""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that read recordings, which the repository does not contain."""
    needing = [item for item in items if "recordings" in getattr(item, "fixturenames", ())]
    items[:] = [item for item in items if item not in needing]
    config.hook.pytest_deselected(items=needing)
