"""A Kubernetes API as tests use it, as any of its users."""

import asyncio
import json
import secrets
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.harness.operator.kubeconfig import write_kubeconfig
from tests.harness.operator.kubectl import Kubectl

ADMIN = "admin"
"""The user who may do everything: a member of system:masters, which RBAC does not restrict."""

REQUEST_LIMIT = 30.0

_POLL = 0.05
_NOT_YET = (404, 429, 503)  # answers for a kind that is not served yet, or not yet again


class Api(ABC):
    """A client of an API server. Subclasses provide the server."""

    client: httpx.AsyncClient
    """An HTTP client with the API's address and certificate."""

    def __init__(self, directory: Path, kubectl: Path) -> None:
        self.directory = directory
        self._tokens = {ADMIN: secrets.token_urlsafe(24)}
        self._kubectl = Kubectl(kubectl, directory / "kubectl")

    @property
    @abstractmethod
    def url(self) -> str:
        """The address, https://host:port; the same after a restart."""

    @property
    @abstractmethod
    def certificate(self) -> Path:
        """The file of the certificate authority that clients trust."""

    def token(self, user: str = ADMIN) -> str:
        """Return the bearer token of a user: ADMIN, or an account that service_account() has returned."""
        return self._tokens[user]

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """Return a kubeconfig of the user."""
        return self.kubeconfig_for(self.url, user)

    def kubeconfig_for(self, server: str, user: str = ADMIN) -> Path:
        """Return a kubeconfig of the user for a server with the same certificate, such as a proxy."""
        name = f"{server}-{user}".translate(str.maketrans("/:", "--"))
        path = self.directory / "kubeconfig" / f"{name}.yaml"
        return write_kubeconfig(path, server, self.certificate, self.token(user))

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: str = ADMIN,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """Send a request and return the JSON of the answer. This is faster than starting kubectl.

        Raises httpx.HTTPStatusError with the server's message when the API rejects the request.
        """
        headers = {"Authorization": f"Bearer {self.token(user)}", "Content-Type": content_type}
        content = None if body is None else json.dumps(body)
        response = await self.client.request(method, path, content=content, params=query, headers=headers)
        if not response.is_success:
            message = f"{method} {path} as {user}: {response.status_code} {response.text}"
            raise httpx.HTTPStatusError(message, request=response.request, response=response)
        return response.json()

    async def serves(self, path: str, limit: float = 20.0) -> None:
        """Wait until the API serves a path, for example of a kind that has just been defined.

        Raises httpx.HTTPStatusError with the last answer after `limit` seconds.
        """
        deadline = time.monotonic() + limit
        while True:
            try:
                await self.request("GET", path, query={"limit": "1"})
            except httpx.HTTPStatusError as error:
                if error.response.status_code not in _NOT_YET or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_POLL)
            else:
                return

    @asynccontextmanager
    async def watch(self, path: str, resource_version: str, user: str = ADMIN) -> AsyncIterator[AsyncIterator[Any]]:
        """Watch a path from a version on, and yield the events until the server ends the watch."""
        query = {"watch": "true", "resourceVersion": resource_version}
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        async with self.client.stream("GET", path, params=query, headers=headers) as response:
            response.raise_for_status()
            yield (json.loads(line) async for line in response.aiter_lines())

    async def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002  as subprocess.run() has it
        user: str = ADMIN,
        server: str | None = None,
    ) -> str:
        """Run kubectl against this server, or against `server` in its place, and return its output.

        Raises KubectlError with the error output of kubectl.
        """
        return await self._kubectl.run(self.kubeconfig_for(server or self.url, user), args, input)

    async def namespace(self, prefix: str = "test") -> str:
        """Create a namespace with a unique name, and return the name."""
        name = f"{prefix}-{uuid.uuid4().hex[:12]}"
        await self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    async def delete_namespace(self, name: str) -> None:
        """Delete the namespace and the custom resources in it, whatever their finalizers.

        Without a controller, other objects in the namespace stay. New ones cannot be created: it is Terminating.
        """
        await self.request("DELETE", f"/api/v1/namespaces/{name}")
        for definition in await self.definitions():
            if definition["spec"]["scope"] == "Namespaced":
                await self._delete_all(path_of(definition, name))

    async def service_account(self, namespace: str, name: str) -> str:
        """Create a service account without any rights, if it does not exist, and return its user name.

        kubeconfig(), kubectl() and request() accept that name, system:serviceaccount:NAMESPACE:NAME, as a user.
        """
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        try:
            await self.request("POST", accounts, {"metadata": {"name": name}})
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.CONFLICT:
                raise
        wanted = {"spec": {"expirationSeconds": 24 * 3600}}
        answer = await self.request("POST", f"{accounts}/{name}/token", wanted)
        user = f"system:serviceaccount:{namespace}:{name}"
        self._tokens[user] = answer["status"]["token"]
        return user

    async def allowed(self, user: str, namespace: str, verb: str, resource: str, group: str = "") -> bool:
        """Return True if the API server allows the verb to the user. A new role takes a moment to have an effect."""
        name, _, subresource = resource.partition("/")
        asked = {"namespace": namespace, "verb": verb, "group": group, "resource": name}
        asked |= {"subresource": subresource} if subresource else {}
        answer = await self.request(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {"spec": {"resourceAttributes": asked}}, user=user,
        )  # fmt: skip
        return bool(answer["status"]["allowed"])

    async def definitions(self) -> list[Any]:
        """Return the CRDs of the API."""
        found = await self.request("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
        return list(found["items"])

    async def _delete_all(self, path: str) -> None:
        for found in (await self.request("GET", path))["items"]:
            one = f"{path}/{found['metadata']['name']}"
            try:
                if found["metadata"].get("finalizers"):
                    no_finalizers = {"metadata": {"finalizers": None}}
                    await self.request("PATCH", one, no_finalizers, content_type="application/merge-patch+json")
                await self.request("DELETE", one)
            except (
                httpx.HTTPStatusError
            ) as error:  # already being deleted: removing its last finalizer has removed the object
                if error.response.status_code != httpx.codes.NOT_FOUND:
                    raise


def path_of(definition: Any, namespace: str = "") -> str:
    """Return the path of the objects of a CRD, in one namespace or in all."""
    spec = definition["spec"]
    version = next(version["name"] for version in spec["versions"] if version["storage"])
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{spec['group']}/{version}{within}/{spec['names']['plural']}"
