"""The Secrets that Strimzi's operators create, as seen on a cluster with version 1.2.0."""

import base64
from collections.abc import Mapping
from typing import Any, Final

STORE: Final = bytes.fromhex("308206a702010330820661") + b"\xff\xfe"
"""The beginning of a PKCS#12 store. It is not text in UTF-8."""


def authority_secret(cluster: str, certificate: str, store: bytes = STORE, password: str = "secret") -> dict[str, Any]:  # noqa: S107
    """Return the Secret of the certificate authority of a cluster: a PEM text, beside it a binary PKCS#12 store."""
    data = {"ca.crt": certificate.encode(), "ca.p12": store, "ca.password": password.encode()}
    return _secret(f"{cluster}-cluster-ca-cert", data)


def user_secret(name: str, password: str) -> dict[str, Any]:
    """Return the Secret of a KafkaUser that logs in with SCRAM."""
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    login = f'{module} required username="{name}" password="{password}";'
    return _secret(name, {"password": password.encode(), "sasl.jaas.config": login.encode()})


def _secret(name: str, data: Mapping[str, bytes]) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": encoded}
