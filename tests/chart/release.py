"""A release of the chart on a real Kubernetes API."""

import base64
from collections.abc import Sequence
from typing import Any

from tests.chart.helm import Helm, Object, arguments
from tests.harness.operator.apiserver import ApiServer


class Release:
    """A release in a namespace. No controller runs, so objects are only stored."""

    def __init__(self, apiserver: ApiServer, helm: Helm, namespace: str, name: str = "marketstream") -> None:
        self.api, self.namespace, self.name = apiserver, namespace, name
        self._helm = helm

    def run(self, verb: str, *options: str, values: Sequence[str] = (), files: Sequence[str] = ()) -> str:
        """Run a command of Helm for this release and return its output. Raises HelmError."""
        chart = [] if verb == "uninstall" else [str(self._helm.chart)]
        return self._helm.run(
            verb, self.name, *chart, "--namespace", self.namespace, *options, *arguments(values, files),
            kubeconfig=self.api.kubeconfig(),
        )  # fmt: skip

    def install(self, *values: str, files: Sequence[str] = ()) -> None:
        self.run("install", values=values, files=files)

    def upgrade(self, *values: str, files: Sequence[str] = ()) -> None:
        self.run("upgrade", values=values, files=files)

    def uninstall(self) -> None:
        self.run("uninstall")

    async def make_secret(self, name: str, **texts: str) -> None:
        body = {"metadata": {"name": name}, "stringData": texts}
        await self.api.request("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body)

    async def secrets(self) -> dict[str, dict[str, str]]:
        """Return the chart's Secrets by name."""
        found = await self.api.request("GET", f"/api/v1/namespaces/{self.namespace}/secrets")
        return {
            each["metadata"]["name"]: {k: base64.b64decode(v).decode() for k, v in each["data"].items()}
            for each in found["items"]
            if each["type"] == "Opaque"
        }

    async def template(self, name: str) -> Object:
        """Return the pod template of a Deployment."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}"
        found: Object = (await self.api.request("GET", path))["spec"]["template"]
        return found

    async def listed(self, path: str) -> list[Any]:
        """Return the objects of a resource in the namespace, such as `apps/v1/statefulsets`."""
        group, version, resource = path.rpartition("/")[0].rpartition("/")[0], *path.split("/")[-2:]
        base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        found: list[Any] = (await self.api.request("GET", f"{base}/namespaces/{self.namespace}/{resource}"))["items"]
        return found
