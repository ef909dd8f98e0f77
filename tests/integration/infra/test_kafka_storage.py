"""Kafka's storage: cluster ids, and DATA_DIRs with unusual names."""

import uuid
from pathlib import Path

import pytest

from infra.kafka import encode_cluster_id
from infra.kafka_cluster import three_broker_services
from infra.paths import DataDirPaths
from infra.services import SERVICES, EmbeddedServices

ID_WITH_LEADING_DASH = "-ezGUEyZSrO3Rr5Zg5qqyg"
"""Earlier versions created such an id in one of 64 installations."""


@pytest.fixture
def data_dir_paths(tmp_path: Path) -> DataDirPaths:
    paths = DataDirPaths(tmp_path / "data")
    paths.create_dirs()
    return paths


def format_and_read_cluster_id(data_dir_paths: DataDirPaths, name: str = "kafka") -> str:
    """The cluster id that Kafka's StorageTool wrote."""
    services = SERVICES | three_broker_services()
    port_names = (name, f"{name}_controller", *(f"kafka-{n}_controller" for n in (1, 2, 3)))
    services[name].prepare_launch(
        data_dir_paths, {port_name: 30_000 + n for n, port_name in enumerate(port_names)}
    )
    lines = (data_dir_paths.service_dir(name) / "logs" / "meta.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["cluster.id"]


def test_cluster_id_never_starts_with_a_dash() -> None:
    cluster_ids = [encode_cluster_id(uuid.UUID(int=first << 120, version=4)) for first in range(256)]
    assert not [cluster_id for cluster_id in cluster_ids if cluster_id.startswith("-")]
    assert set(map(len, cluster_ids)) == {22}


@pytest.mark.service
@pytest.mark.parametrize("name", ["kafka", "kafka-2"])
def test_storage_is_formatted_with_a_new_id(data_dir_paths: DataDirPaths, name: str) -> None:
    cluster_id = format_and_read_cluster_id(data_dir_paths, name)
    assert not cluster_id.startswith("-")
    assert format_and_read_cluster_id(data_dir_paths, name) == cluster_id


@pytest.mark.service
def test_stored_id_with_a_leading_dash_formats_the_storage(data_dir_paths: DataDirPaths) -> None:
    data_dir_paths.service_dir("kafka").mkdir()
    (data_dir_paths.service_dir("kafka") / "cluster.id").write_text(ID_WITH_LEADING_DASH)
    assert format_and_read_cluster_id(data_dir_paths) == ID_WITH_LEADING_DASH


@pytest.mark.service
@pytest.mark.parametrize("partial_id", ["", "-ezGUEy"])
def test_partially_written_id_is_replaced(data_dir_paths: DataDirPaths, partial_id: str) -> None:
    id_file = data_dir_paths.service_dir("kafka") / "cluster.id"
    id_file.parent.mkdir()
    id_file.write_text(partial_id)
    assert format_and_read_cluster_id(data_dir_paths) == id_file.read_text() != partial_id


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.drill
def test_data_dir_may_have_any_name(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a dash, a space, a comma, a backslash, quotes, a letter outside of Latin-1; in the C locale."""
    monkeypatch.setenv("LC_ALL", "C")
    parent = tmp_path_factory.mktemp("names")
    parent.chmod(0o755)
    services = EmbeddedServices(parent / "-a b,c\\t'\"漢")
    try:
        services.start()
        assert {status.state for status in services.status().values()} == {"running"}
    finally:
        services.stop()
    assert [path.name for path in parent.iterdir()] == ["-a b,c\\t'\"漢"]
    assert (services.paths.service_dir("kafka") / "logs" / "meta.properties").exists()
