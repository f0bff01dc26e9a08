"""`marketstream-operator run` as people start it, and its messages when it cannot start."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.harness.operator.running import Cluster, RunningOperator

WRONG_USE = 2


async def run(*arguments: str, **environment: str) -> tuple[int, list[str]]:
    """Return the exit code of the command, and its lines on standard error."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "marketstream_operator", *arguments,
        env={**kept, "HTTP_PORT": "0", **environment}, stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, said.decode().splitlines()


@pytest.mark.parametrize(
    "text",
    [None, "", "no: kubeconfig\n", "{", "apiVersion: v1\nkind: Config\ncurrent-context: none\ncontexts: []\n"],
    ids=["not there", "empty", "something else", "no YAML", "no such context"],
)
async def test_a_kubeconfig_that_will_not_do_is_one_line(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    code, said = await run("run", "--kubeconfig", str(file))
    assert code == WRONG_USE
    assert len(said) == 1, said
    assert said[0].startswith("marketstream-operator: cannot log in to Kubernetes: ")
    assert "--kubeconfig" in said[0]


async def test_a_context_that_is_not_there_is_one_line(cluster: Cluster) -> None:
    code, said = await run("run", "--kubeconfig", str(cluster.api.kubeconfig()), "--context", "moon")
    assert (code, len(said)) == (WRONG_USE, 1), said
    assert "moon" in said[0]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"KAFKA_MODE": "strimzi"}, "missing environment variables: KAFKA_CLUSTER"),
        ({"KAFKA_MODE": "confluent"}, "KAFKA_MODE is 'confluent': expected one of strimzi, external"),
        ({"RESYNC_S": "1"}, "RESYNC_S is 1: expected at least 5"),
        ({"TOPICS_CREATE": "yes"}, "TOPICS_CREATE is 'yes': expected true or false"),
    ],
)
async def test_settings_that_make_no_sense_are_one_line(environment: dict[str, str], words: str) -> None:
    code, said = await run("run", **environment)
    assert (code, len(said)) == (WRONG_USE, 1), said
    assert words in said[0]


async def test_without_a_command_it_says_how_it_is_used() -> None:
    code, said = await run()
    assert code == WRONG_USE
    assert said[0].startswith("usage: marketstream-operator")


async def test_outside_the_cluster_it_runs_with_a_kubeconfig(connected: Cluster, tmp_path: Path) -> None:
    kubeconfig = connected.api.kubeconfig()
    several = Path(f"{tmp_path}/none{os.pathsep}{kubeconfig}")  # as KUBECONFIG may have them
    async with RunningOperator(tmp_path, several, connected.namespace) as running:
        await running.leading()
        await connected.stream("majors", ["BTCUSDT"])
        await connected.has_deployments("majors", 2)
        assert await running.end() == 0
