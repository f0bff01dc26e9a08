"""Kafka's jars come from the cache, and an error message helps if they cannot be downloaded."""

import hashlib
import os
import socket
from pathlib import Path

import pytest
from marketstream.local.errors import FetchError
from marketstream.local.jars import class_path


async def test_the_cache_suffices_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    jars = await class_path(lines.append)
    monkeypatch.setattr(socket, "socket", _no_network)
    lines.clear()
    assert await class_path(lines.append) == jars
    assert lines == []
    assert any(jar.name == "kafka-clients-4.3.1.jar" for jar in jars)


async def test_without_a_network_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(FetchError, match=r"Cannot download .*\.jar(?s:.*)HTTPS_PROXY(?s:.*)KAFKA_BOOTSTRAP"):
        await class_path(lambda _line: None)
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if name.endswith(".jar")]


async def test_a_jar_that_is_not_the_locked_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jgo.maven import PythonResolver

    def forged(_resolver: object, artifact: object) -> Path:
        path = tmp_path / f"forged-{id(artifact)}.jar"  # several jars are downloaded at once
        path.write_bytes(b"something else")
        return path

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(PythonResolver, "download", forged)
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(FetchError, match=f"SHA-256 is {found}, expected"):
        await class_path(lambda _line: None)


def _no_network(*_arguments: object, **_options: object) -> socket.socket:
    raise AssertionError("the network was used")
