"""How a stream's pods, and the operator for it, reach Kafka, PostgreSQL and Redis: the connection Secret."""

import base64
import binascii
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from marketstream.settings import Settings, SettingsError

from marketstream_operator import names
from marketstream_operator.kinds import SECRET as SECRET_KIND
from marketstream_operator.kube.api import Api, NotFoundError
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.podenv import REQUIRED, SECRET
from marketstream_operator.resource.errors import SpecError
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

STRIMZI_CA: Final = "ca.crt"
STRIMZI_PASSWORD: Final = "password"  # noqa: S105 - the name of a key
"""The keys of the Secrets that Strimzi makes for a cluster's authority and for a KafkaUser."""

CONNECTION: Final = "spec.connectionSecretRef"
"""The field that is wrong when a Secret will not do, be it named there or not."""

KEPT_S: Final = 5.0
"""Seconds for which a Secret is not read again: many streams share one."""


class Connections:
    """Reads the Secrets. Each is read anew after a few seconds, so a change is seen at the next look at everything."""

    def __init__(self, api: Api, settings: OperatorSettings) -> None:
        self._api = api
        self._settings = settings
        self._read: dict[StreamKey, tuple[float, dict[str, str] | None]] = {}
        """When each was read, and what it held, encoded; None: it was not there. Only what is newer than KEPT_S."""
        self._folder = Path(tempfile.mkdtemp(prefix="marketstream-operator-"))

    async def of(self, namespace: str, spec: Spec) -> Connection:
        """The connection of a stream. Raises SpecError when it names no Secret that will do, ApiError."""
        if spec.connection_secret_ref is not None:
            name, is_own = spec.connection_secret_ref.name, False
        elif namespace == self._settings.pod_namespace:
            name, is_own = self._settings.connection_secret, True
        else:
            raise SpecError(
                CONNECTION,
                f"missing: the operator's connection is in namespace {self._settings.pod_namespace}. Make a Secret "
                f"with KAFKA_BOOTSTRAP, DATABASE_URL and REDIS_URL in {namespace}, and name it here",
            )
        data = await self._secret(namespace, name)
        sources = {field: (name, field.upper()) for field in sorted(SECRET) if data.get(field.upper())}
        texts = {field: data[field.upper()] for field in sources}
        written: dict[str, str] = {}
        if is_own and self._settings.kafka_user_secret:
            user = self._settings.kafka_user_secret
            texts["kafka_sasl_password"] = await self._entry(namespace, user, STRIMZI_PASSWORD)
            sources["kafka_sasl_password"] = (user, STRIMZI_PASSWORD)
            sources.pop("kafka_sasl_username", None)
            written["kafka_sasl_username"] = user
        if is_own and self._settings.kafka_ca_secret:
            authority = self._settings.kafka_ca_secret
            texts["kafka_ca_file"] = await self._entry(namespace, authority, STRIMZI_CA)
            sources["kafka_ca_file"] = (authority, STRIMZI_CA)
        missing = [field.upper() for field in REQUIRED if not texts.get(field)]
        if missing:
            raise SpecError(
                CONNECTION,
                f"the Secret {namespace}/{name} lacks {', '.join(missing)}: add what is missing",
            )
        digest = names.digest(sorted((texts | written).items()))
        return Connection(sources, written, self._own(texts | written, namespace, name), digest[:8])

    def _own(self, texts: Mapping[str, str], namespace: str, name: str) -> Settings:
        environment = {field.upper(): text for field, text in texts.items()}
        if "KAFKA_CA_FILE" in environment:
            pem = environment["KAFKA_CA_FILE"]
            file = self._folder / f"{names.digest(pem)}.crt"
            if not file.exists():
                file.write_text(pem)
            environment["KAFKA_CA_FILE"] = str(file)
        try:
            return Settings.from_environment(environment)
        except SettingsError as error:
            raise SpecError(CONNECTION, f"the Secret {namespace}/{name}: {error}") from error

    async def _entry(self, namespace: str, name: str, entry: str) -> str:
        """An entry of a Secret that Strimzi makes."""
        text = (await self._secret(namespace, name, by_strimzi=True)).get(entry)
        if not text:
            raise SpecError(
                CONNECTION,
                f"the Secret {namespace}/{name}, named in the operator's settings, lacks {entry}: add it, or name "
                "another Secret there",
            )
        return text

    async def _secret(self, namespace: str, name: str, *, by_strimzi: bool = False) -> dict[str, str]:
        encoded = await self._encoded(StreamKey(namespace, name))
        if encoded is None:
            raise SpecError(
                CONNECTION,
                f"Strimzi has not made the Secret {name} in namespace {namespace} yet: wait, or look at its Kafka and "
                "KafkaUser objects"
                if by_strimzi
                else f"there is no Secret {name} in namespace {namespace}: make it, with KAFKA_BOOTSTRAP, DATABASE_URL "
                "and REDIS_URL",
            )
        try:
            return {entry: base64.b64decode(text).decode() for entry, text in encoded.items()}
        except (binascii.Error, UnicodeDecodeError) as error:
            raise SpecError(CONNECTION, f"the Secret {namespace}/{name} is no text: {error}") from error

    async def _encoded(self, key: StreamKey) -> dict[str, str] | None:
        """What the Secret holds, or held a few seconds ago; None when there is none."""
        if key in self._read and time.monotonic() - self._read[key][0] < KEPT_S:
            return self._read[key][1]
        data: dict[str, str] | None
        try:
            data = (await self._api.get(SECRET_KIND, *key)).get("data") or {}
        except NotFoundError:
            data = None
        now = time.monotonic()
        self._read = {each: read for each, read in self._read.items() if now - read[0] < KEPT_S}
        self._read[key] = (now, data)
        return data
