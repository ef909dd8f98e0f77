"""Kafka's storage: ids that a command line takes, also those that are kept, and any DATA_DIR."""

import uuid
from pathlib import Path

import pytest

from infra.brokers import three_brokers
from infra.kafka import cluster_id
from infra.layout import Layout
from infra.services import SERVICES, Services

OPTION = "-ezGUEyZSrO3Rr5Zg5qqyg"
"""An id as earlier versions made one in 64 installations."""


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    place = Layout(tmp_path / "data")
    place.create()
    return place


def formatted(place: Layout, name: str = "kafka") -> str:
    """The cluster id that the real StorageTool wrote."""
    services = SERVICES | three_brokers()
    names = (name, f"{name}_controller", *(f"kafka-{n}_controller" for n in (1, 2, 3)))
    services[name].prepare(place, {one: 30_000 + number for number, one in enumerate(names)})
    lines = (place.folder(name) / "logs" / "meta.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["cluster.id"]


def test_a_new_cluster_id_is_never_taken_for_an_option() -> None:
    made = [cluster_id(uuid.UUID(int=first << 120, version=4)) for first in range(256)]
    assert not [one for one in made if one.startswith("-")]
    assert {len(one) for one in made} == {22}


def test_different_uuids_make_different_cluster_ids() -> None:
    assert len({cluster_id(uuid.uuid4()) for _ in range(1_000)}) == 1_000


@pytest.mark.service
@pytest.mark.parametrize("name", ["kafka", "kafka-2"])
def test_storage_is_formatted_with_a_new_id(place: Layout, name: str) -> None:
    made = formatted(place, name)
    assert not made.startswith("-")
    assert formatted(place, name) == made


@pytest.mark.service
def test_a_kept_id_that_begins_with_a_dash_formats_the_storage(place: Layout) -> None:
    place.folder("kafka").mkdir()
    (place.folder("kafka") / "cluster.id").write_text(OPTION)
    assert formatted(place) == OPTION


@pytest.mark.service
@pytest.mark.parametrize("cut", ["", "-ezGUEy"])
def test_an_id_whose_writing_was_cut_is_replaced(place: Layout, cut: str) -> None:
    kept = place.folder("kafka") / "cluster.id"
    kept.parent.mkdir()
    kept.write_text(cut)
    assert formatted(place) == kept.read_text() != cut


@pytest.mark.service
@pytest.mark.slow
def test_any_name_of_the_data_dir_will_do(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dash, a space, a comma, a backslash, quotes, letters outside of Latin-1; a plain locale."""
    monkeypatch.setenv("LC_ALL", "C")
    parent = tmp_path_factory.mktemp("names")
    parent.chmod(0o755)
    services = Services(parent / "-a b,c\\t'\"漢")
    try:
        services.start()
        assert {one.state for one in services.status().values()} == {"running"}
    finally:
        services.stop()
    assert [one.name for one in parent.iterdir()] == ["-a b,c\\t'\"漢"]
    assert (services.layout.folder("kafka") / "logs" / "meta.properties").exists()
