"""compose.yaml: its services, and that they fit the image, the tests' Milvus and the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from daah.stores.milvus import uri
from daah.ui.settings import Settings
from tests.doubles.milvus_install import VERSION
from tests.project.container import steps, variables
from tests.project.test_code_blocks import parse

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = steps(ROOT / "Dockerfile")
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)


def test_only_the_app_starts_without_a_profile() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["app"]
    assert {p for service in SERVICES.values() for p in service.get("profiles", ())} == {"milvus"}


@pytest.mark.parametrize("name", OURS)
def test_our_services_write_to_the_galleries_and_to_memory_alone(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert [mount.split(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    (work,) = [step.text for step in DOCKERFILE if step.name == "WORKDIR"]
    galleries = variables(DOCKERFILE)["DAAH_GALLERY_FOLDER"]
    assert service["volumes"] == [f"galleries:{work}/{galleries}"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "user" not in service  # that of the image


@pytest.mark.parametrize("name", OURS)
def test_settings_exist_and_uploads_fit_into_memory(name: str) -> None:
    given = dict(entry.partition("=")[::2] for entry in SERVICES[name].get("environment", ()))
    for variable in given:
        assert hasattr(Settings(), variable.removeprefix("DAAH_").lower()), variable
    if "DAAH_MAX_STORED_MB" in given:
        assert "size=1g" in SERVICES[name]["tmpfs"][0]
        assert int(given["DAAH_MAX_STORED_MB"]) <= 512


@pytest.mark.parametrize("name", OURS)
def test_commands_are_those_of_this_program(name: str) -> None:
    command = SERVICES[name].get("command")
    if command is None:  # the image's
        return
    assert parse(command)
    (address,) = [word for word in command if word.startswith("milvus://")]
    assert uri.parse(address).host in SERVICES


def test_ports_are_bound_to_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    inside = variables(DOCKERFILE)["GRADIO_SERVER_PORT"]
    assert ports == [f"127.0.0.1:7860:{inside}", f"127.0.0.1:7861:{inside}"]


def test_servers_without_a_password_are_reached_by_the_app_alone() -> None:
    assert COMPOSE["networks"] == {"milvus": {"internal": True}}
    for name in ("milvus", "etcd", "minio"):
        assert SERVICES[name]["networks"] == ["milvus"]
        assert "ports" not in SERVICES[name]


def test_versions_are_pinned_and_milvus_is_the_one_that_is_tested() -> None:
    for service in SERVICES.values():
        if "build" not in service:
            tag = service["image"].rpartition(":")[2]
            assert any(letter.isdigit() for letter in tag)
    assert SERVICES["milvus"]["image"] == f"milvusdb/milvus:v{VERSION}"


def test_each_service_waits_for_those_that_it_needs() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                # The app's own is the image's.
                assert "healthcheck" in SERVICES[other] or "build" in SERVICES[other], (name, other)
            else:
                assert how["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"] == "no"


def test_volumes_are_named() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert used == set(COMPOSE["volumes"])
