"""Everything that a reconcile needs of the Kubernetes cluster, in one object."""

from dataclasses import dataclass

from marketstream_operator.cluster.apply import Applier
from marketstream_operator.cluster.claims import Claims
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.kube.api import Api


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster as a reconcile sees it and changes it."""

    api: Api
    observed: Observed
    """The objects that watches and resyncs have seen."""
    claims: Claims
    """The MarketStream that owns each symbol."""
    applier: Applier
    """Writes objects, and only when a write is due."""
