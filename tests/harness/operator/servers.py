"""The servers of a control plane as child processes, each on a fixed port of loopback."""

import signal
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import httpx
from marketstream.local.loopback import HOST, query
from marketstream.local.process import ServerProcess

_PROBE = 5.0  # time limit of one readiness probe, in seconds


class Etcd(ServerProcess):
    """The store of one API server. Writes are not synced to disk: the data need not survive the machine."""

    name = "etcd"

    def __init__(self, directory: Path, program: Path) -> None:
        super().__init__(directory)
        self._program = program

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def prepare(self) -> None:
        """Do nothing: etcd creates its folder."""

    def command(self) -> Sequence[str | Path]:
        return [
            *(self._program, "--data-dir", "data", "--unsafe-no-fsync", "--log-level=warn", "--logger=zap"),
            *(f"--listen-client-urls={self.address}", f"--advertise-client-urls={self.address}"),
            f"--listen-peer-urls=http://{HOST}:0",  # it has no peers
        ]

    async def answers(self) -> bool:
        answer = await query(self.port, f"GET /health HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode(), _PROBE)
        return b" 200 " in answer and b'"health":"true"' in answer


class KubeApiServer(ServerProcess):
    """A kube-apiserver with RBAC. It creates its own certificate, and signs tokens of service accounts with the key.

    The file of the certificate also holds the authority that signed it, so clients trust that file.
    """

    name = "kube-apiserver"
    # An open watch delays a graceful stop by a minute.
    stop_signal: ClassVar[signal.Signals] = signal.SIGKILL
    start_limit = 60.0

    def __init__(self, directory: Path, program: Path, etcd: Etcd, token: str) -> None:
        super().__init__(directory)
        self._program = program
        self._etcd = etcd
        self._token = token

    @property
    def address(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def certificate(self) -> Path:
        """The certificate and its authority, which clients trust. Created at the first start and then kept."""
        return self.home / "apiserver.crt"

    @property
    def key(self) -> Path:
        """The private key of the certificate, which also signs the tokens of service accounts."""
        return self.home / "apiserver.key"

    async def prepare(self) -> None:
        tokens = self.home / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f"{self._token},admin,admin,system:masters\n", "ascii")

    def command(self) -> Sequence[str | Path]:
        return [
            *(self._program, f"--etcd-servers={self._etcd.address}", f"--secure-port={self.port}"),
            *(f"--bind-address={HOST}", f"--advertise-address={HOST}", "--service-cluster-ip-range=10.0.0.0/24"),
            *(f"--cert-dir={self.home}", "--token-auth-file=tokens.csv", "--authorization-mode=RBAC"),
            "--service-account-issuer=https://kubernetes.default.svc",
            *(f"--service-account-key-file={self.key}", f"--service-account-signing-key-file={self.key}"),
            # No controller creates the account `default` of a namespace, without which this plugin rejects pods.
            *("--disable-admission-plugins=ServiceAccount", "--allow-privileged"),
        ]

    async def answers(self) -> bool:
        if not self.certificate.exists():
            return False
        return await _ok(f"{self.address}/readyz", trust(self.certificate), self._token)


class KubeControllerManager(ServerProcess):
    """A kube-controller-manager that runs only the given controllers."""

    name = "kube-controller-manager"
    stop_signal: ClassVar[signal.Signals] = signal.SIGKILL
    start_limit = 60.0

    def __init__(self, directory: Path, program: Path, kubeconfig: Path, controllers: Sequence[str]) -> None:
        super().__init__(directory)
        self._program = program
        self._kubeconfig = kubeconfig
        self._controllers = controllers

    @property
    def address(self) -> str:
        return f"https://{HOST}:{self.port}"

    async def prepare(self) -> None:
        """Do nothing: the program creates its certificate."""

    def command(self) -> Sequence[str | Path]:
        return [
            *(self._program, f"--kubeconfig={self._kubeconfig}", "--leader-elect=false"),
            f"--controllers={','.join(self._controllers)}",
            *(f"--bind-address={HOST}", f"--secure-port={self.port}", f"--cert-dir={self.home}"),
            *("--kube-api-qps=500", "--kube-api-burst=1000"),  # tests wait for the controllers
        ]

    async def answers(self) -> bool:
        certificate = next(self.home.glob("*.crt"), None)
        return certificate is not None and await _ok(f"{self.address}/healthz", trust(certificate))


def trust(certificate: Path) -> ssl.SSLContext:
    """Return a context that trusts the certificate. Raises OSError while the file is incomplete."""
    return ssl.create_default_context(cafile=certificate)


async def _ok(url: str, context: ssl.SSLContext, token: str = "") -> bool:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(verify=context, timeout=_PROBE, trust_env=False) as client:
        try:
            return (await client.get(url, headers=headers)).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
