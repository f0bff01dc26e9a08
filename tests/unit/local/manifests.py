"""Manifests for the tests of a local run."""

from pathlib import Path
from typing import Any

import yaml


def stream(**spec: Any) -> dict[str, Any]:
    """Return a valid MarketStream with `spec` added to, or replacing, its fields."""
    return {
        "apiVersion": "marketstream.io/v1alpha1",
        "kind": "MarketStream",
        "metadata": {"name": "majors"},
        "spec": {"exchange": "binance", "symbols": ["BTCUSDT", "ETHUSDT"], **spec},
    }


def written(tmp_path: Path, *documents: Any) -> Path:
    """Write the documents to a YAML file and return its path."""
    path = tmp_path / "stream.yaml"
    path.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return path
