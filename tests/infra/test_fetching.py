"""The manifest, its lock, and what happens when a file is not what it should be."""

import hashlib
from pathlib import Path

import pytest

from infra import fetch, layout, manifest
from infra.manifest import BrowserFile, Jar, Locked
from infra.repositories import mirrors, remotes
from infra.trouble import Trouble


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(layout, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(layout, "VENDOR", tmp_path / "vendor")
    return tmp_path


def jar(content: bytes = b"right") -> Jar:
    return Jar("kafka", "org.example:thing:jar:1.0", hashlib.sha256(content).hexdigest())


def test_every_coordinate_of_the_manifest_is_in_the_lock() -> None:
    locked = manifest.locked()
    in_lock = {(one.service, one.coordinate.replace(":jar:", ":")) for one in locked.jars}
    wanted = {
        (service, coordinate)
        for service, coordinates in manifest.wanted_artefacts().items()
        for coordinate in coordinates
    }
    assert wanted <= in_lock
    assert {file.filename for file in locked.browser_files} == set(manifest.wanted_browser_files())


def test_every_line_of_the_lock_has_a_whole_checksum_and_a_name_of_its_own() -> None:
    jars = manifest.locked().jars
    assert all(len(bytes.fromhex(one.sha256)) == 32 for one in jars)
    assert len({(one.service, one.filename) for one in jars}) == len(jars)


def test_a_fetched_file_lies_in_the_cache_and_is_not_fetched_again(cache: Path) -> None:
    source = cache / "source.jar"
    source.write_bytes(b"right")
    fetch.fetch_jar(jar(), lambda coordinate: source)
    assert fetch.present(fetch.jar_path(jar()), jar().sha256)
    assert fetch.setup(Locked((jar(),), ())) == 0


def test_a_file_with_another_checksum_is_removed_with_a_sentence(cache: Path) -> None:
    source = cache / "source.jar"
    source.write_bytes(b"wrong")
    with pytest.raises(Trouble, match=r"sha256 .* where infra/manifest.lock says .* was removed"):
        fetch.fetch_jar(jar(), lambda coordinate: source)
    assert list(fetch.jar_path(jar()).parent.iterdir()) == []


def test_a_damaged_file_in_the_cache_counts_as_missing(cache: Path) -> None:
    fetch.jar_path(jar()).parent.mkdir(parents=True)
    fetch.jar_path(jar()).write_bytes(b"half")
    assert not fetch.present(fetch.jar_path(jar()), jar().sha256)


@pytest.mark.parametrize("fault", [RuntimeError("not found"), ConnectionError("refused")])
def test_a_failed_download_names_the_artefact_and_the_way_to_retry(
    cache: Path, fault: Exception
) -> None:
    def refuse(coordinate: str) -> Path:
        raise fault

    with pytest.raises(Trouble, match=r"org\.example:thing:jar:1\.0.*make setup. again"):
        fetch.fetch_jar(jar(), refuse)


def test_a_refused_package_names_itself_and_the_way_to_retry(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    file = BrowserFile("x.js", "there-is-no-such-package==1.0", "x.js", "00")
    with pytest.raises(Trouble, match=r"there-is-no-such-package==1\.0.*make setup. again"):
        fetch.fetch_browser_file(file)


def test_too_little_disk_stops_the_set_up(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "free_bytes", lambda folder: 20_000_000)
    with pytest.raises(Trouble, match="Only 20 MB are free"):
        fetch.setup(Locked((jar(),), ()))


def test_a_mirror_in_the_settings_of_maven_replaces_the_default(tmp_path: Path) -> None:
    settings = tmp_path / "settings.xml"
    settings.write_text(
        '<settings xmlns="x"><mirrors>'
        "<mirror><id>house</id><mirrorOf>central</mirrorOf><url>http://house/m2/</url></mirror>"
        "<mirror><id>other</id><mirrorOf>snapshots</mirrorOf><url>http://other</url></mirror>"
        "</mirrors></settings>"
    )
    assert mirrors(settings) == {"house": "http://house/m2"}
    assert "central" not in remotes(settings)
    assert "central" in remotes(tmp_path / "missing.xml")
