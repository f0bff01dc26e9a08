"""The connection of a stream to Kafka, PostgreSQL and Redis, read from its connection Secret.

Its pods use this connection, and so does the operator on its behalf.
"""

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
from marketstream_operator.kube.api import FORBIDDEN, Api, ApiError, NotFoundError
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.podenv import AUTHORITIES, REQUIRED, SECRET
from marketstream_operator.resource.errors import AwaitedError, SpecError
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

AUTHORITY: Final = "ca.crt"
STRIMZI_PASSWORD: Final = "password"  # noqa: S105 - the name of a key
"""Keys of the Secrets that Strimzi and CloudNativePG create for an authority, and Strimzi for a KafkaUser."""

CONNECTION: Final = "spec.connectionSecretRef"
"""The field that every error about a Secret names, even if the Secret is not set in that field."""

KEPT_S: Final = 5.0
"""Seconds for which a Secret that was read is reused: many streams share one Secret."""


class Connections:
    """Reads connection Secrets. A Secret is read again after KEPT_S, so the next resync notices a change."""

    def __init__(self, api: Api, settings: OperatorSettings) -> None:
        self._api = api
        self._settings = settings
        self._read: dict[StreamKey, tuple[float, dict[str, str] | None]] = {}
        """For each Secret, the time of reading and its encoded data; None if there was no such Secret.

        Entries older than KEPT_S are removed.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="marketstream-operator-"))

    async def of(self, namespace: str, spec: Spec) -> Connection:
        """Return the connection of a stream.

        Raises AwaitedError for a Secret that Strimzi has not created yet, SpecError if there is no suitable Secret, and
        ApiError.
        """
        if spec.connection_secret_ref is not None:
            name, is_own = spec.connection_secret_ref.name, False
        elif namespace == self._settings.pod_namespace:
            name, is_own = self._settings.connection_secret, True
        else:
            raise SpecError(
                CONNECTION,
                f"missing: the operator has a connection Secret only for namespace {self._settings.pod_namespace}. "
                f"Create a Secret with KAFKA_BOOTSTRAP, DATABASE_URL and REDIS_URL in namespace {namespace}, and name "
                "it here",
            )
        held = await self._secret(namespace, name)
        given = {field: _text(StreamKey(namespace, name), held, field.upper()) for field in sorted(SECRET)}
        texts = {field: text for field, text in given.items() if text}
        sources = {field: (name, field.upper()) for field in texts}
        written: dict[str, str] = {}
        if is_own and self._settings.kafka_user_secret:
            user = self._settings.kafka_user_secret
            texts["kafka_sasl_password"] = await self._entry(namespace, user, STRIMZI_PASSWORD)
            sources["kafka_sasl_password"] = (user, STRIMZI_PASSWORD)
            sources.pop("kafka_sasl_username", None)
            written["kafka_sasl_username"] = user
        authorities = {
            "kafka_ca_file": self._settings.kafka_ca_secret, "database_ca": self._settings.database_ca_secret,
        }  # fmt: skip
        for field, authority in authorities.items():
            if is_own and authority:
                texts[field] = await self._entry(namespace, authority, AUTHORITY)
                sources[field] = (authority, AUTHORITY)
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
        for variable in map(str.upper, texts.keys() & AUTHORITIES.keys()):
            pem = environment[variable]
            file = self._folder / f"{names.digest(pem)}.crt"
            if not file.exists():
                file.write_text(pem)
            environment[variable] = str(file)
        try:
            return Settings.from_environment(environment)
        except SettingsError as error:
            raise SpecError(CONNECTION, f"the Secret {namespace}/{name}: {error}") from error

    async def _entry(self, namespace: str, name: str, entry: str) -> str:
        """Return an entry of a Secret that Strimzi creates. Raises SpecError, ApiError."""
        text = _text(StreamKey(namespace, name), await self._secret(namespace, name, by_strimzi=True), entry)
        if not text:
            raise SpecError(
                CONNECTION,
                f"the Secret {namespace}/{name}, named in the operator's settings, lacks {entry}: add it, or name "
                "another Secret there",
            )
        return text

    async def _secret(self, namespace: str, name: str, *, by_strimzi: bool = False) -> dict[str, str]:
        """Return the encoded data of a Secret. Raises SpecError if there is no such Secret, and ApiError."""
        encoded = await self._encoded(StreamKey(namespace, name))
        if encoded is None and by_strimzi:
            by_cnpg = name == self._settings.database_ca_secret
            maker, objects = ("CloudNativePG", "Cluster") if by_cnpg else ("Strimzi", "Kafka and KafkaUser")
            raise AwaitedError(
                CONNECTION,
                f"{maker} has not created the Secret {name} in namespace {namespace} yet: wait, or check its {objects} "
                "objects",
            )
        if encoded is None:
            raise SpecError(
                CONNECTION,
                f"there is no Secret {name} in namespace {namespace}: create it, with KAFKA_BOOTSTRAP, DATABASE_URL "
                "and REDIS_URL",
            )
        return encoded

    async def _encoded(self, key: StreamKey) -> dict[str, str] | None:
        """Return the encoded data of a Secret, at most KEPT_S old; None if there is no such Secret.

        Raises SpecError if the operator may not read it, and ApiError.
        """
        if key in self._read and time.monotonic() - self._read[key][0] < KEPT_S:
            return self._read[key][1]
        data: dict[str, str] | None
        try:
            data = (await self._api.get(SECRET_KIND, *key)).get("data") or {}
        except NotFoundError:
            data = None
        except ApiError as error:
            if error.status != FORBIDDEN:
                raise
            raise SpecError(
                CONNECTION,
                f"the operator's role does not allow it to read the Secret {key}: name another Secret, or add this one "
                "to the role (in the chart: rbac.secrets.names)",
            ) from error
        now = time.monotonic()
        self._read = {each: read for each, read in self._read.items() if now - read[0] < KEPT_S}
        self._read[key] = (now, data)
        return data


def _text(secret: StreamKey, encoded: Mapping[str, str], entry: str) -> str:
    """Return an entry of a Secret as text, empty if the Secret lacks it. Raises SpecError if it is not text.

    Entries that nobody uses are not decoded: Strimzi keeps a binary ca.p12 beside ca.crt.
    """
    try:
        return base64.b64decode(encoded.get(entry, "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        # The cause would show a part of the value.
        raise SpecError(CONNECTION, f"{entry} of the Secret {secret} is not text in UTF-8: correct the value") from None
