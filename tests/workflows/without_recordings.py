"""A plugin of pytest for where the recordings of exchanges are not:
`PYTHONPATH=. pytest -p tests.workflows.without_recordings`."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests that read recordings, which are in no repository."""
    needing = [item for item in items if "recordings" in getattr(item, "fixturenames", ())]
    items[:] = [item for item in items if item not in needing]
    config.hook.pytest_deselected(items=needing)
