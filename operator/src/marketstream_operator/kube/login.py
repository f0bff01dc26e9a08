"""Login to Kubernetes, with the pod's service account or with a kubeconfig."""

import asyncio
import os
from pathlib import Path
from typing import Any

import kopf
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException


class LoginError(Exception):
    """Login is not possible. The message names what was tried."""


async def configuration(kubeconfig: Path | None, context: str | None) -> Configuration:
    """Return the address and credentials of the API server. Raises LoginError.

    They come from `kubeconfig`, else from KUBECONFIG, else from the pod's service account (if no `context` is given),
    else from ~/.kube/config. `context` selects a context of the kubeconfig; None selects its current context.
    """
    made = Configuration()
    # kopf does the same. With trust_env, each request would look for a ~/.netrc in another thread.
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
        raise _failed(f"the file {file} does not exist")
    try:
        await config.load_kube_config(file, context, made, persist_config=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # load_kube_config raises almost anything for a broken file
        said = " ".join(str(error).split()) or type(error).__name__
        raise _failed(f"{file}: {said}") from error
    return made


def _is_there(files: str) -> bool:
    """Return True if one of the files exists: KUBECONFIG may name several, separated as in PATH."""
    return any(Path(file).is_file() for file in files.split(os.pathsep))


def _failed(why: str) -> LoginError:
    return LoginError(f"cannot log in to Kubernetes: {why}. Give --kubeconfig and --context, or set KUBECONFIG")


async def kopf_login(made: Configuration) -> kopf.ConnectionInfo:
    """Return the same login for kopf, which has a client of its own. A renewed token is read again."""
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
