"""The kinds of Kubernetes objects that the operator reads and writes."""

from typing import Final, NamedTuple

MANAGER: Final = "marketstream-operator"
"""Field manager of every write of the operator."""


class Kind(NamedTuple):
    """A kind of namespaced objects, in the words of its API path."""

    group: str
    version: str
    plural: str
    name: str

    @property
    def api_version(self) -> str:
        """The `apiVersion` of objects of this kind: `apps/v1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version


DEPLOYMENT: Final = Kind("apps", "v1", "deployments", "Deployment")
POD: Final = Kind("", "v1", "pods", "Pod")
SECRET: Final = Kind("", "v1", "secrets", "Secret")
EVENT: Final = Kind("", "v1", "events", "Event")
LEASE: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")
KAFKA_TOPIC: Final = Kind("kafka.strimzi.io", "v1", "kafkatopics", "KafkaTopic")
MARKET_STREAM: Final = Kind("marketstream.io", "v1alpha1", "marketstreams", "MarketStream")
