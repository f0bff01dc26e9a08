"""Tilt's functions, as a Tiltfile calls them: each records its arguments.

The rules are those of Tilt 0.35 and later, by https://docs.tilt.dev/api.html and its source. `Tiltfile.complaints`
returns the violations that Tilt would report.
"""
# ruff: noqa: ARG002 - the parameters are Tilt's

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Final

import starlark
import yaml

from tests.harness.tiltlabels import as_applied

Record = dict[str, Any]

WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Pod")

# Builds Tilt's modules from functions that have an underscore in their names instead of the Tiltfile's dot.
PRELUDE: Final = """
config = struct(define_string=config_define_string, parse=config_parse)
os = struct(getenv=os_getenv, path=struct(exists=os_path_exists))
TRIGGER_MODE_AUTO = "auto"
TRIGGER_MODE_MANUAL = "manual"
"""


class TiltError(Exception):
    """The Tiltfile was rejected: by fail(), or because it calls an unknown function."""


@dataclass(kw_only=True)
class Tiltfile:
    """A Tiltfile, and the calls that it makes when it is read."""

    project: Path
    helm: Path
    context: str = "kind-kind"
    namespace: str = "default"
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    pull: Callable[[], None] = lambda: None
    """Stands in for `helm pull`."""

    images: dict[str, Record] = field(default_factory=dict)
    objects: list[Record] = field(default_factory=list)
    resources: dict[str, Record] = field(default_factory=dict)
    commands: dict[str, Record] = field(default_factory=dict)
    watched: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    settings: dict[str, Record] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)

    def read(self) -> "Tiltfile":
        """Read the project's Tiltfile. Raises TiltError."""
        dialect = starlark.Dialect.extended()
        # Tilt uses the Starlark of Go, which supports neither.
        dialect.enable_f_strings = False
        dialect.enable_types = starlark.DialectTypes.DISABLE
        dialect.enable_load = False
        module = starlark.Module()
        for name, function in self._functions().items():
            module.add_callable(name, function)
        library = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
        text = (self.project / "Tiltfile").read_text()
        try:
            starlark.eval(module, starlark.parse("prelude", PRELUDE, dialect), library)
            starlark.eval(module, starlark.parse("Tiltfile", text, dialect), library)
        except starlark.StarlarkError as error:
            raise TiltError(str(error)) from error
        return self

    def resource_of(self, workload: str) -> Record:
        """Return the arguments of k8s_resource for a workload, or for the resource of this name."""
        found = [each for each in self.resources.values() if workload in (each["workload"], each["new_name"])]
        assert len(found) == 1, f"{workload}: {found}"
        return found[0]

    def applied(self) -> list[Record]:
        """Return the objects as Tilt applies them: with labels of its own, in selectors too."""
        return as_applied(self.objects)

    def links_of(self, name: str) -> list[str]:
        """Return the links that Tilt shows for a resource. It takes each forwarded port for one that speaks HTTP."""
        record = (self.resources | self.commands)[name]
        ports = record.get("port_forwards", ())
        return [each["url"] for each in record["links"]] + [
            f"http://localhost:{each['local_port']}{each['link_path'] or '/'}" for each in ports
        ]

    def shown_in(self, pod_labels: Mapping[str, str], owner: str) -> list[str]:
        """Return the resources that show the logs of a pod whose chain of owners ends in an object, `name:kind`.

        Tilt follows owner references beside the selectors, unless discovery_strategy is `selectors-only`.
        """
        return [
            name
            for name, each in self.resources.items()
            if any(one.items() <= pod_labels.items() for one in each["extra_pod_selectors"])
            or (owner in each["objects"] and each["discovery_strategy"] == "default")
        ]

    def names(self) -> set[str]:
        """Return the resources that `resource_deps` can name."""
        renamed = {each["workload"] for each in self.resources.values() if each["new_name"]}
        return (self._workloads() - renamed) | set(self.resources) | set(self.commands)

    def complaints(self) -> list[str]:
        """Return everything that Tilt would reject, warn of, or leave in its resource `uncategorized`."""
        return [
            *self._wrong_resources(),
            *self._wrong_dependencies(),
            *self._wrong_ports(),
            *(complaint for ref, image in self.images.items() for complaint in self._wrong_image(ref, image)),
        ]

    def _workloads(self) -> set[str]:
        return {each["metadata"]["name"] for each in self.objects if each["kind"] in WORKLOADS}

    def _wrong_resources(self) -> list[str]:
        workloads = self._workloads()
        free = [
            f"{each['metadata']['name']}:{each['kind'].lower()}"
            for each in self.objects
            if each["kind"] not in (*WORKLOADS, "Service")
        ]
        wrong = [f"{name} is there twice" for name in set(free) if free.count(name) > 1]
        for name, resource in self.resources.items():
            if resource["workload"] and resource["workload"] not in workloads:
                wrong.append(f"{name}: there is no workload {resource['workload']}")
            if not resource["workload"] and not resource["objects"]:
                wrong.append(f"{name} has neither workload nor objects")
            for selector in resource["objects"]:
                if selector in free:
                    free.remove(selector)
                else:
                    wrong.append(f"{name}: there is no {selector}, or another resource has it")
        both = set(self.resources) & set(self.commands)
        return [*wrong, *(f"{name} has no resource" for name in free), *(f"{name} is there twice" for name in both)]

    def _wrong_dependencies(self) -> list[str]:
        names = self.names()
        needs = {name: each["resource_deps"] for name, each in (self.resources | self.commands).items()}
        wrong = [f"{name} depends on {need}" for name, needed in needs.items() for need in needed if need not in names]

        def circular(name: str, seen: tuple[str, ...]) -> bool:
            return name in seen or any(circular(need, (*seen, name)) for need in needs.get(name, ()))

        return [*wrong, *(f"{name} depends on itself" for name in needs if circular(name, ()))]

    def _wrong_ports(self) -> list[str]:
        local = [port["local_port"] for each in self.resources.values() for port in each["port_forwards"]]
        return [f"port {port} is forwarded twice" for port in set(local) if local.count(port) > 1]

    def _wrong_image(self, ref: str, image: Record) -> list[str]:
        wrong = [] if f'"image": "{ref}:' in json.dumps(self.objects) else [f"nothing runs {ref}"]
        sources = [PurePosixPath(each) for each in image["sources"]]
        wrong += [f"{ref}: {each} is not there" for each in sources if not (self.project / each).exists()]
        beyond = False
        for step in image["live_update"]:
            if step["step"] == "fall_back_on" and beyond:
                wrong.append(f"{ref}: fall_back_on after sync")
            beyond = beyond or step["step"] == "sync"
            for path in map(PurePosixPath, step["paths"]):
                if not any(path.is_relative_to(source) for source in sources):
                    wrong.append(f"{ref}: {path} is not watched")
        return wrong

    def _functions(self) -> dict[str, Callable[..., Any]]:
        return {
            name: getattr(self, name)
            for name in dir(self)
            if name.startswith(("config_", "k8s_", "os_"))
            or name in _BUILT_IN
        }  # fmt: skip

    # --- functions of a Tiltfile --------------------------------------------------------------------------------------

    def fail(self, msg: str) -> None:
        raise TiltError(msg)

    def version_settings(self, constraint: str = "") -> None:
        self.settings["version"] = {"constraint": constraint}

    def ci_settings(self, k8s_grace_period: str = "", timeout: str = "30m", readiness_timeout: str = "5m") -> None:
        self.settings["ci"] = {
            "k8s_grace_period": k8s_grace_period, "timeout": timeout, "readiness_timeout": readiness_timeout,
        }  # fmt: skip

    def update_settings(self, k8s_upsert_timeout_secs: int = 30) -> None:
        self.settings["update"] = {"k8s_upsert_timeout_secs": k8s_upsert_timeout_secs}

    def secret_settings(self, disable_scrub: bool = False) -> None:
        self.settings["secret"] = {"disable_scrub": disable_scrub}

    def config_define_string(self, name: str, usage: str = "") -> None:
        self.options[name] = usage

    def config_parse(self) -> dict[str, str]:
        given, rest = {}, list(self.arguments)
        while rest:
            name, _, value = rest.pop(0).removeprefix("-").removeprefix("-").partition("=")
            if name not in self.options:
                raise TiltError(f"flag provided but not defined: -{name}")
            given[name] = value or rest.pop(0)
        return given

    def os_getenv(self, key: str, default: str | None = None) -> str | None:
        return self.environment.get(key, default)

    def os_path_exists(self, path: str) -> bool:
        return (self.project / path).exists()

    def k8s_context(self) -> str:
        return self.context

    def k8s_namespace(self) -> str:
        return self.namespace

    def allow_k8s_contexts(self, contexts: str | list[str]) -> None:
        self.allowed += [contexts] if isinstance(contexts, str) else contexts

    def watch_file(self, file_path: str) -> None:
        self.watched.append(file_path)

    def blob(self, contents: str) -> str:
        return contents

    def read_yaml(self, path: str) -> Any:
        self.watched.append(path)
        (document,) = yaml.safe_load_all((self.project / path).read_text())
        return document

    def decode_yaml_stream(self, yaml: str) -> list[Any]:
        return _documents(yaml)

    def local(self, command: str | list[str], quiet: bool = False, echo_off: bool = False) -> str:
        shown = command if isinstance(command, str) else " ".join(command)
        self.ran.append(shown)
        if shown.startswith("helm pull"):
            self.pull()
            return ""
        path = f"{self.helm.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        ran = subprocess.run(
            command, shell=isinstance(command, str), cwd=self.project, env={**os.environ, "PATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode:
            raise TiltError(f"{shown}: {ran.stderr}")
        return ran.stdout

    def k8s_yaml(self, yaml: str) -> None:
        if "\n" not in yaml:
            self.watched.append(yaml)
            yaml = (self.project / yaml).read_text()
        self.objects += _documents(yaml)

    def sync(self, local_path: str, remote_path: str) -> Record:
        return {"step": "sync", "paths": [local_path], "remote_path": remote_path}

    def fall_back_on(self, files: list[str]) -> Record:
        return {"step": "fall_back_on", "paths": files}

    def docker_build(
        self, ref: str, context: str, *, dockerfile: str, target: str, only: list[str], ignore: list[str],
        match_in_env_vars: bool, live_update: list[Record],
    ) -> None:  # fmt: skip
        assert context == "."
        self.images[ref] = {
            "by": "docker_build", "dockerfile": dockerfile, "target": target, "sources": only, "ignore": ignore,
            "match_in_env_vars": match_in_env_vars, "live_update": live_update,
        }  # fmt: skip

    def custom_build(
        self, ref: str, command: str, deps: list[str], *, disable_push: bool, skips_local_docker: bool,
        ignore: list[str], match_in_env_vars: bool, live_update: list[Record],
    ) -> None:  # fmt: skip
        self.images[ref] = {
            "by": "custom_build", "command": command, "sources": deps, "ignore": ignore, "disable_push": disable_push,
            "skips_local_docker": skips_local_docker, "match_in_env_vars": match_in_env_vars,
            "live_update": live_update,
        }  # fmt: skip

    def port_forward(
        self, local_port: int, container_port: int, name: str | None = None, link_path: str | None = None
    ) -> Record:
        return {"local_port": local_port, "container_port": container_port, "name": name, "link_path": link_path}

    def link(self, url: str, name: str | None = None) -> Record:
        return {"url": url, "name": name}

    def k8s_resource(
        self, workload: str = "", new_name: str = "", port_forwards: Sequence[Record] = (),
        extra_pod_selectors: Sequence[Mapping[str, str]] = (),
        resource_deps: Sequence[str] = (), objects: Sequence[str] = (),
        pod_readiness: str = "", links: Sequence[Record] = (), labels: Sequence[str] = (),
        discovery_strategy: str = "default",
    ) -> None:  # fmt: skip
        if discovery_strategy not in ("default", "selectors-only"):
            raise TiltError('Invalid. Must be one of: "default", "selectors-only"')
        self._add(self.resources, new_name or workload, {
            "workload": workload, "new_name": new_name, "port_forwards": port_forwards, "objects": objects,
            "extra_pod_selectors": extra_pod_selectors, "resource_deps": resource_deps, "labels": labels,
            "pod_readiness": pod_readiness, "links": links, "discovery_strategy": discovery_strategy,
        })  # fmt: skip

    def local_resource(
        self, name: str, cmd: str | list[str] = "", resource_deps: Sequence[str] = (), trigger_mode: str = "auto",
        auto_init: bool = True, allow_parallel: bool = False, labels: Sequence[str] = (),
        serve_cmd: str | list[str] = "", links: Sequence[Record] = (),
    ) -> None:  # fmt: skip
        if not cmd and not serve_cmd:
            raise TiltError("local_resource must have a cmd and/or a serve_cmd, but both were empty")
        self._add(self.commands, name, {
            "cmd": cmd, "resource_deps": resource_deps, "trigger_mode": trigger_mode, "auto_init": auto_init,
            "labels": labels, "serve_cmd": serve_cmd, "links": links,
        })  # fmt: skip

    def _add(self, records: dict[str, Record], name: str, record: Record) -> None:
        if name in records:
            raise TiltError(f"{name} is defined twice")
        records[name] = record


_BUILT_IN: Final = {
    "fail", "version_settings", "ci_settings", "update_settings", "secret_settings", "allow_k8s_contexts", "watch_file",
    "blob", "read_yaml", "decode_yaml_stream", "local", "sync", "fall_back_on", "docker_build", "custom_build",
    "port_forward", "link", "local_resource",
}  # fmt: skip


@cache
def _documents(text: str) -> list[Any]:
    return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each is not None]
