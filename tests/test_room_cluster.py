"""The values for the published JupyterHub chart, and the devcontainer, against what others publish.

The chart's schema and that of devcontainers belong to their projects and are not kept here. What is
used of them is stated below; the whole of them is asked where PROVING_PUBLISHED names a folder that
has the chart's values.yaml and values.schema.yaml, and devContainer.base.schema.json.
"""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from proving import bases
from proving.paths import ROOT
from proving.room import ground, image

PUBLISHED = os.environ.get("PROVING_PUBLISHED", "")
VALUES = image.HUB / "values.yaml"
DEVCONTAINER = ROOT / ".devcontainer"

TAKEN_BY_THE_CHART: dict[str, set[str]] = {
    "": {"custom", "hub", "proxy", "singleuser", "prePuller", "cull"},
    "hub": {"config", "extraEnv", "extraFiles", "extraConfig", "loadRoles"},
    "proxy": {"service"},
    "proxy.service": {"type"},
    "singleuser": {
        *("image", "cmd", "defaultUrl", "uid", "fsGid", "extraEnv", "cpu", "memory"),
        *("storage", "extraContainers", "networkPolicy"),
    },
    "singleuser.image": {"name", "tag"},
    "singleuser.cpu": {"guarantee", "limit"},
    "singleuser.memory": {"guarantee", "limit"},
    "singleuser.storage": {"capacity", "homeMountPath", "extraVolumes"},
    "singleuser.networkPolicy": {"enabled", "egressAllowRules"},
    "singleuser.networkPolicy.egressAllowRules": {"cloudMetadataServer", "privateIPs"},
    "prePuller": {"hook", "continuous"},
    "cull": {"enabled", "timeout", "every"},
}
"""What the chart's schema, which refuses every other key, has of the keys that are used here."""

TAKEN_OF_A_DEVCONTAINER = {
    *("name", "build", "overrideCommand", "capAdd", "securityOpt", "mounts", "remoteUser"),
    *("postCreateCommand", "forwardPorts", "portsAttributes", "hostRequirements", "customizations"),
}
"""What the specification of devcontainers has of the keys that are used here."""

published = pytest.mark.skipif(not PUBLISHED, reason="PROVING_PUBLISHED names no folder")


def values() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    return loaded


def devcontainer() -> dict[str, Any]:
    text = (DEVCONTAINER / "devcontainer.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    return loaded


def merged(defaults: Any, chosen: Any) -> Any:
    """Return values as Helm merges them."""
    if not (isinstance(defaults, dict) and isinstance(chosen, dict)):
        return chosen
    own = {key: merged(defaults.get(key), value) for key, value in chosen.items()}
    return {**defaults, **own}


def errors(schema: dict[str, Any], told: Any) -> list[str]:
    found = jsonschema.validators.validator_for(schema)(schema).iter_errors(told)
    return [f"{error.json_path}: {error.message}" for error in found]


def section(path: str) -> Any:
    told = values()
    for key in filter(None, path.split(".")):
        told = told[key]
    return told


@pytest.mark.parametrize("path", TAKEN_BY_THE_CHART)
def test_the_values_have_only_keys_that_the_chart_takes(path):
    """A key with a slip in it would end the installation."""
    assert set(section(path)) <= TAKEN_BY_THE_CHART[path]


@published
def test_the_values_follow_the_charts_published_schema():
    """With the chart's defaults and the files that are given at the installation."""
    folder = Path(PUBLISHED)
    told = values()
    for name, file in told["hub"]["extraFiles"].items():
        file["stringData"] = (ROOT / f"labs/proving/room/{name}.py").read_text(encoding="utf-8")
    defaults = yaml.safe_load((folder / "values.yaml").read_text(encoding="utf-8"))
    schema = yaml.safe_load((folder / "values.schema.yaml").read_text(encoding="utf-8"))

    assert [] == errors(schema, merged(defaults, told))
    assert errors(schema, merged(defaults, {**told, "singleUser": {}}))


@published
def test_the_devcontainer_follows_the_published_schema():
    """An editor that reads it finds no key that it does not know."""
    text = (Path(PUBLISHED) / "devContainer.base.schema.json").read_text(encoding="utf-8-sig")
    schema = json.loads(text)

    assert [] == errors(schema, devcontainer())
    assert errors(schema, {**devcontainer(), "capsAdd": []})


def test_a_pod_of_a_seat_is_one_that_kubernetes_takes():
    """The engine's container and its volume are the chart's business only as far as a list."""
    single = values()["singleuser"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "seat"},
        "spec": {
            "containers": single["extraContainers"],
            "volumes": single["storage"]["extraVolumes"],
        },
    }

    kubernetes_validate.validate(pod, "1.32", strict=True)


def test_an_engine_in_a_pod_has_the_capabilities_of_one_on_a_machine_and_no_more():
    """It is not privileged, and listens where only its own pod is."""
    (engine,) = values()["singleuser"]["extraContainers"]
    context = engine["securityContext"]

    assert set(ground.CAPABILITIES) == set(context["capabilities"]["add"])
    assert "privileged" not in context
    assert {"tcp://127.0.0.1:2375"} == {variable["value"] for variable in engine["env"]}
    assert values()["singleuser"]["extraEnv"]["DOCKER_HOST"] == "tcp://127.0.0.1:2375"


def test_nothing_of_a_cluster_is_served_outside_unless_asked():
    """The proxy is a service within the cluster, and seats are kept apart by policies."""
    assert "ClusterIP" == values()["proxy"]["service"]["type"]
    assert values()["singleuser"]["networkPolicy"]["enabled"]


def test_the_hubs_own_lines_in_the_values_are_python_and_hold_no_secret():
    """The secret comes from a Secret of the cluster."""
    (lines,) = values()["hub"]["extraConfig"].values()
    ast.parse(lines)
    variable = values()["hub"]["extraEnv"]["PROVING_ROOM_SECRET"]

    assert {"valueFrom"} == set(variable)


def test_the_files_that_the_chart_is_given_import_nothing_else_of_the_guide():
    """The hub's image has JupyterHub, and of the guide these two files alone."""
    given = set(values()["hub"]["extraFiles"])
    for name in given:
        tree = ast.parse((ROOT / f"labs/proving/room/{name}.py").read_text(encoding="utf-8"))
        relative = {
            node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.level
        }

        assert relative <= given


def test_the_devcontainer_has_only_keys_that_the_specification_has():
    """An editor ignores what it does not know."""
    assert set(devcontainer()) <= TAKEN_OF_A_DEVCONTAINER


def test_the_devcontainer_has_the_capabilities_of_a_seat_and_no_folder_of_the_machine():
    """It is not privileged, and its engine's data lie in a volume."""
    told = devcontainer()

    assert list(ground.CAPABILITIES) == told["capAdd"]
    assert list(ground.UNCONFINED) == told["securityOpt"]
    assert {"volume"} == {mount["type"] for mount in told["mounts"]}
    assert "runArgs" not in told


def test_the_devcontainer_is_built_of_what_is_there():
    """Its base has a role, and what it copies is in the repository."""
    dockerfile = DEVCONTAINER / devcontainer()["build"]["dockerfile"]
    copied = re.findall(r"^COPY (\S+)", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)

    assert ["SLIM"] == bases.roles_in(dockerfile)
    assert copied
    assert all((ROOT / source).is_file() for source in copied)
