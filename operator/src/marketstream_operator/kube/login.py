"""Logging in to Kubernetes: as the pod's service account, or as a kubeconfig says."""

import asyncio
import os
from pathlib import Path
from typing import Any

import kopf
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException


class LoginError(Exception):
    """There is no way to log in; the message says what was tried."""


async def configuration(kubeconfig: Path | None, context: str | None) -> Configuration:
    """How to reach the API server: by `kubeconfig` (else KUBECONFIG, else the pod's service account, else
    ~/.kube/config) and its `context`, the current one for None. Raises LoginError."""
    made = Configuration()
    # As kopf does. With it, each request would look for a ~/.netrc, in another thread.
    made.client_session_kwargs = {"trust_env": False}
    given = kubeconfig or os.environ.get("KUBECONFIG")
    if given is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        try:
            config.load_incluster_config(client_configuration=made)  # type: ignore[no-untyped-call]
        except ConfigException as error:
            raise _failed(str(error)) from error
        return made
    file = str(given or Path.home() / ".kube" / "config")
    if not await asyncio.to_thread(_is_there, file):
        raise _failed(f"there is no file {file}")
    try:
        await config.load_kube_config(file, context, made, persist_config=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # a broken file makes it raise almost anything
        said = " ".join(str(error).split()) or type(error).__name__
        raise _failed(f"{file}: {said}") from error
    return made


def _is_there(files: str) -> bool:
    """KUBECONFIG may name several."""
    return any(Path(file).is_file() for file in files.split(os.pathsep))


def _failed(why: str) -> LoginError:
    return LoginError(f"cannot log in to Kubernetes: {why}. Give --kubeconfig and --context, or set KUBECONFIG")


async def kopf_login(made: Configuration) -> kopf.ConnectionInfo:
    """The same for kopf, which has a client of its own. A token that has been renewed meanwhile is read anew."""
    bearer: Any = (await made.auth_settings()).get("BearerToken") or {}
    scheme, _, token = str(bearer.get("value") or "").partition(" ")
    return kopf.ConnectionInfo(
        server=made.host,
        ca_path=made.ssl_ca_cert,
        ca_data=made.ca_cert_data,
        insecure=not made.verify_ssl,
        scheme=scheme or None,
        token=token or None,
        certificate_path=made.cert_file,
        private_key_path=made.key_file,
        proxy_url=made.proxy,
    )
