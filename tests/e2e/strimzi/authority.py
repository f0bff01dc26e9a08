"""Certificates like Strimzi's: the authority of a cluster, and the certificate of a broker."""

import secrets
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.e2e.kube import program


class Certificates(NamedTuple):
    """PEM texts of an authority and of a broker, and the authority in the form for Java."""

    authority: str
    store: bytes
    """A PKCS#12 store with the certificate of the authority."""
    password: str
    """The password of the store."""
    broker: str
    """The key and the certificate."""


async def issue(cluster: str, namespace: str) -> Certificates:
    """Issue an authority, and its certificate for the bootstrap Service and the brokers."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "extensions").write_text(
            f"subjectAltName={','.join(f'DNS:{name}' for name in _names(cluster, namespace))}\n"
        )
        await _openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/O=io.strimzi/CN=cluster-ca v0",
            "-keyout", f"{at}/ca.key", "-out", f"{at}/ca.crt",
        )  # fmt: skip
        await _openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/O=io.strimzi/CN={cluster}-kafka",
            "-keyout", f"{at}/broker.key", "-out", f"{at}/broker.csr",
        )  # fmt: skip
        await _openssl(
            "x509", "-req", "-in", f"{at}/broker.csr", "-days", "30", "-CA", f"{at}/ca.crt", "-CAkey", f"{at}/ca.key",
            "-CAcreateserial", "-extfile", f"{at}/extensions", "-out", f"{at}/broker.crt",
        )  # fmt: skip
        password = secrets.token_urlsafe(9)
        await _openssl(
            "pkcs12", "-export", "-nokeys", "-in", f"{at}/ca.crt", "-caname", "ca.crt",
            "-passout", f"pass:{password}", "-out", f"{at}/ca.p12",
        )  # fmt: skip
        return Certificates(
            authority=(at / "ca.crt").read_text(),
            store=(at / "ca.p12").read_bytes(),
            password=password,
            broker=(at / "broker.key").read_text() + (at / "broker.crt").read_text(),
        )


def _names(cluster: str, namespace: str) -> list[str]:
    services = (f"{cluster}-kafka-bootstrap", f"{cluster}-kafka-brokers", f"*.{cluster}-kafka-brokers")
    return [f"{name}.{namespace}.svc{domain}" for name in services for domain in ("", ".cluster.local")]


async def _openssl(*arguments: str) -> None:
    await program("openssl", *arguments)
