"""The kinds of Kubernetes objects that the operator reads and writes."""

from typing import Final, NamedTuple

MANAGER: Final = "marketstream-operator"
"""The field manager of all that the operator applies."""


class Kind(NamedTuple):
    """A kind of namespaced objects, as its address names it."""

    group: str
    version: str
    plural: str
    name: str

    @property
    def api_version(self) -> str:
        """As it stands in an object: `apps/v1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version


DEPLOYMENT: Final = Kind("apps", "v1", "deployments", "Deployment")
POD: Final = Kind("", "v1", "pods", "Pod")
SECRET: Final = Kind("", "v1", "secrets", "Secret")
EVENT: Final = Kind("", "v1", "events", "Event")
LEASE: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")
KAFKA_TOPIC: Final = Kind("kafka.strimzi.io", "v1", "kafkatopics", "KafkaTopic")
MARKET_STREAM: Final = Kind("marketstream.io", "v1alpha1", "marketstreams", "MarketStream")
