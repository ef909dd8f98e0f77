"""The manifest, its lock file, and downloads with errors."""

import hashlib
from pathlib import Path

import pytest

from infra import downloads, manifest, paths
from infra.errors import InfraError
from infra.manifest import LockedBrowserFile, LockedFiles, LockedJar
from infra.maven_repositories import central_mirrors, remote_repositories


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "CACHE_DIR", tmp_path / "cache")
    monkeypatch.setattr(paths, "VENDOR_DIR", tmp_path / "vendor")
    return tmp_path


def locked_jar(content: bytes = b"correct") -> LockedJar:
    return LockedJar("kafka", "org.example:library:jar:1.0", hashlib.sha256(content).hexdigest())


def test_every_artifact_of_the_manifest_is_in_the_lock_file() -> None:
    locked = manifest.read_lock_file()
    in_lock = {(jar.service, jar.coordinate.replace(":jar:", ":")) for jar in locked.jars}
    in_manifest = {
        (service, coordinate)
        for service, coordinates in manifest.read_maven_coordinates().items()
        for coordinate in coordinates
    }
    assert in_manifest <= in_lock
    assert {file.filename for file in locked.browser_files} == set(manifest.read_browser_packages())


def test_every_lock_line_has_a_complete_checksum_and_a_unique_name() -> None:
    jars = manifest.read_lock_file().jars
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)
    assert len({(jar.service, jar.filename) for jar in jars}) == len(jars)


def test_fetched_file_is_cached_and_not_fetched_again(cache: Path) -> None:
    source = cache / "source.jar"
    source.write_bytes(b"correct")
    downloads.fetch_jar(locked_jar(), lambda coordinate: source)
    assert downloads.is_present(downloads.jar_path(locked_jar()), locked_jar().sha256)
    assert downloads.fetch_missing_files(LockedFiles((locked_jar(),), ())) == 0


def test_file_with_wrong_checksum_is_removed_with_an_error(cache: Path) -> None:
    source = cache / "source.jar"
    source.write_bytes(b"wrong")
    with pytest.raises(InfraError, match=r"sha256 .* where infra/manifest.lock says .* was removed"):
        downloads.fetch_jar(locked_jar(), lambda coordinate: source)
    assert list(downloads.jar_path(locked_jar()).parent.iterdir()) == []


def test_damaged_file_in_the_cache_counts_as_missing(cache: Path) -> None:
    downloads.jar_path(locked_jar()).parent.mkdir(parents=True)
    downloads.jar_path(locked_jar()).write_bytes(b"partial")
    assert not downloads.is_present(downloads.jar_path(locked_jar()), locked_jar().sha256)


@pytest.mark.parametrize("error", [RuntimeError("not found"), ConnectionError("refused")])
def test_failed_download_names_the_artifact_and_how_to_retry(cache: Path, error: Exception) -> None:
    def fail(coordinate: str) -> Path:
        raise error

    with pytest.raises(InfraError, match=r"org\.example:library:jar:1\.0.*make setup. again"):
        downloads.fetch_jar(locked_jar(), fail)


def test_refused_package_error_names_the_package_and_how_to_retry(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    file = LockedBrowserFile("x.js", "there-is-no-such-package==1.0", "x.js", "00")
    with pytest.raises(InfraError, match=r"there-is-no-such-package==1\.0.*make setup. again"):
        downloads.fetch_browser_file(file)


def test_setup_fails_if_the_disk_is_nearly_full(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "free_disk_bytes", lambda folder: 20_000_000)
    with pytest.raises(InfraError, match="Only 20 MB are free"):
        downloads.fetch_missing_files(LockedFiles((locked_jar(),), ()))


def test_mirror_in_maven_settings_replaces_the_default(tmp_path: Path) -> None:
    settings = tmp_path / "settings.xml"
    settings.write_text(
        '<settings xmlns="x"><mirrors>'
        "<mirror><id>local</id><mirrorOf>central</mirrorOf><url>http://local/m2/</url></mirror>"
        "<mirror><id>other</id><mirrorOf>snapshots</mirrorOf><url>http://other</url></mirror>"
        "</mirrors></settings>"
    )
    assert central_mirrors(settings) == {"local": "http://local/m2"}
    assert "central" not in remote_repositories(settings)
    assert "central" in remote_repositories(tmp_path / "missing.xml")
