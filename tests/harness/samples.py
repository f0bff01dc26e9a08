"""The metrics that the code defines, and their values, as Prometheus would scrape them."""

import contextlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import marketstream
import marketstream_operator
from prometheus_client import REGISTRY, Counter, Gauge
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample

MOST_LABELS = 5


class Metric(NamedTuple):
    """A metric that a module of the services or of the operator defines."""

    name: str
    labels: frozenset[str]
    series: dict[str, frozenset[str]]
    """The names of its series with their labels, `le` among those of a histogram's buckets."""


def sample(metric: Counter | Gauge, **labels: str) -> float:
    """Return the value that a metric has for these labels, 0 if nothing has been counted for them.

    Raises ValueError for other labels than the metric has.
    """
    if labels:
        metric.labels(**labels)  # adds the sample, at 0, unless it exists
    value = REGISTRY.get_sample_value(_name(metric), labels)
    assert value is not None, f"{_name(metric)} has no sample with the labels {labels}"
    return value


def defined() -> list[Metric]:
    """Import every module that defines metrics, and return these."""
    return [
        Metric(
            _name(metric),
            frozenset(label for each in samples for label in each.labels) - {"le"},
            {each.name: frozenset(each.labels) for each in samples},
        )
        for package in (marketstream, marketstream_operator)
        for path in sorted(Path(package.__path__[0]).rglob("*.py"))
        if "prometheus_client" in path.read_text()
        for metric in _of_module(package.__name__, path.relative_to(package.__path__[0]))
        for samples in [_samples(metric)]
    ]


def _of_module(package: str, path: Path) -> Iterator[MetricWrapperBase]:
    module = import_module(".".join((package, *path.with_suffix("").parts)))
    return (value for value in vars(module).values() if isinstance(value, MetricWrapperBase))


def _name(metric: MetricWrapperBase) -> str:
    (family,) = metric.describe()
    return family.name + ("_total" if family.type == "counter" else "")


def _samples(metric: MetricWrapperBase) -> list[Sample]:
    """Return samples of a metric; one that has labels gets values of them for the purpose, which are removed again."""
    for count in range(1, MOST_LABELS + 1):
        values = ["test"] * count
        with contextlib.suppress(ValueError):  # another count of labels, or none at all
            metric.labels(*values)
            samples = [sample for family in metric.collect() for sample in family.samples]
            metric.remove(*values)
            return samples
    return [sample for family in metric.collect() for sample in family.samples]
