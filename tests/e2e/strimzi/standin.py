"""The loop that reconciles Strimzi's objects of a namespace."""

import asyncio
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from tests.e2e.kube import Kube, ProgramError, is_ready
from tests.e2e.strimzi import authority, objects
from tests.e2e.strimzi.admin import Admin
from tests.harness.operator.strimzi import user_secret

GROUP: Final = "kafka.strimzi.io"
PAUSE_S: Final = 1.0


class StandIn:
    """The stand-in, run by `keep`. Failures are retried, and the last one is kept in `trouble`."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._certificates: dict[str, authority.Certificates] = {}
        self._done: dict[str, int] = {}
        self._topics: dict[str, str] = {}
        self.trouble = ""

    async def keep(self) -> None:
        """Reconcile every second until cancelled."""
        while True:
            try:
                await self._reconcile()
                self.trouble = ""
            except (ProgramError, OSError) as error:
                self.trouble = str(error)
            await asyncio.sleep(PAUSE_S)

    async def _reconcile(self) -> None:
        found: dict[str, list[Any]] = {"Kafka": [], "KafkaNodePool": [], "KafkaTopic": [], "KafkaUser": []}
        kinds = ",".join(
            f"{kind}.{GROUP}".lower() for kind in ("kafkas", "kafkanodepools", "kafkatopics", "kafkausers")
        )
        for each in await self._kube.list(kinds):
            found[each["kind"]].append(each)
        for kafka in found["Kafka"]:
            (pool,) = _of(kafka, found["KafkaNodePool"])
            if not await self._cluster(kafka, pool):
                continue
            admin = Admin(self._kube, objects.pod_name(kafka, pool))
            for user in _of(kafka, found["KafkaUser"]):
                await self._user(admin, user)
            await self._reconcile_topics(admin, _of(kafka, found["KafkaTopic"]))

    async def _cluster(self, kafka: Any, pool: Any) -> bool:
        """Reconcile the broker, and return True if it is ready."""
        name = kafka["metadata"]["name"]
        uid = kafka["metadata"]["uid"]
        if self._is_new(kafka) or self._is_new(pool):
            if uid not in self._certificates:
                self._certificates[uid] = await authority.issue(name, self._kube.namespace)
            await self._kube.apply(*objects.made(kafka, pool, self._certificates[uid]))
            self._note(kafka, pool)
        pods = await self._kube.pods(f"strimzi.io/cluster={name},strimzi.io/kind=Kafka")
        if not any(is_ready(pod) for pod in pods.values()):
            return False
        host, port = objects.bootstrap(kafka)
        await self._says_ready(
            kafka,
            clusterId=objects.CLUSTER_ID,
            listeners=[
                {
                    "name": objects.listener(kafka)["name"],
                    "addresses": [{"host": host, "port": port}],
                    "bootstrapServers": f"{host}:{port}",
                }
            ],
        )
        await self._says_ready(pool, clusterId=objects.CLUSTER_ID, nodeIds=[0], replicas=1)
        return True

    async def _user(self, admin: Admin, user: Any) -> None:
        name = user["metadata"]["name"]
        if not self._is_new(user):
            return
        assert user["spec"]["authentication"] == {"type": "scram-sha-512"}
        password = secrets.token_urlsafe(24)
        await admin.create_user(name, password)
        for rule in user["spec"]["authorization"]["acls"]:
            await admin.allow(name, rule)
        secret = user_secret(name, password)
        secret["metadata"]["ownerReferences"] = objects.owned_by(user)
        await self._kube.apply(secret)
        self._note(user)
        await self._says_ready(user, username=name, secret=name)

    async def _reconcile_topics(self, admin: Admin, topics: Iterable[Any]) -> None:
        wanted = {topic["metadata"]["uid"]: topic for topic in topics}
        for uid, topic in wanted.items():
            if self._is_new(topic):
                name, spec = topic["metadata"]["name"], topic["spec"]
                await admin.create_topic(name, spec["partitions"], spec["config"])
                self._topics[uid] = name
                self._note(topic)
                await self._says_ready(topic, topicName=name)
        for uid in self._topics.keys() - wanted.keys():
            await admin.delete_topic(self._topics.pop(uid))

    def _is_new(self, thing: Any) -> bool:
        return bool(self._done.get(thing["metadata"]["uid"]) != thing["metadata"]["generation"])

    def _note(self, *things: Any) -> None:
        self._done |= {thing["metadata"]["uid"]: thing["metadata"]["generation"] for thing in things}

    async def _says_ready(self, thing: Any, **more: Any) -> None:
        """Write the status of a ready object, unless it is there already."""
        generation = thing["metadata"]["generation"]
        if thing.get("status", {}).get("observedGeneration") == generation:
            return
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": at}
        status = {"observedGeneration": generation, "conditions": [ready], **more}
        kind = f"{thing['kind']}s.{GROUP}".lower()
        await self._kube.patch(kind, thing["metadata"]["name"], {"status": status}, "--subresource=status")


def _of(kafka: Any, things: Iterable[Any]) -> list[Any]:
    """Return the objects that belong to this Kafka."""
    name = kafka["metadata"]["name"]
    return [thing for thing in things if thing["metadata"].get("labels", {}).get("strimzi.io/cluster") == name]
