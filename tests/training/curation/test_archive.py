"""The archives, from a server on the loopback interface: whole files, checksums, broken connections, no network."""

import gzip
import hashlib
from pathlib import Path

import pytest

from deepmm_jax.errors import ConfigError
from deepmm_jax.training.curation.archive import Archive, ArchiveError, MissingEntryError
from reference.curation_inputs import SmallArchive


CONTENT = gzip.compress(bytes(range(256)) * 400, mtime=0, compresslevel=0)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PLACE = "/EMD-1234/map/emd_1234.map.gz"


@pytest.fixture
def client(archive: SmallArchive, tmp_path: Path) -> Archive:
    archive.files = {"/1abc.cif.gz": CONTENT, PLACE: CONTENT}
    return Archive(
        cache=tmp_path / "cache",
        structure_url=archive.url + "/{id}.cif.gz",
        map_url=archive.url + "/EMD-{id}/map/emd_{id}.map.gz",
        attempts=3,
        pause=0.0,
        timeout=5.0,
    )


def test_files_are_fetched_once(client: Archive, archive: SmallArchive):
    path = client.structure("1ABC", DIGEST)
    assert (path.name, path.read_bytes()) == ("1abc.cif.gz", CONTENT)
    assert client.structure("1abc") == path
    assert client.map("EMD-1234").read_bytes() == CONTENT
    assert archive.asked == [("/1abc.cif.gz", 0), (PLACE, 0)]
    assert sorted(p.name for p in client.cache.rglob("*") if p.is_file()) == ["1abc.cif.gz", "emd_1234.map.gz"]


def test_a_half_file_goes_on_where_it_stopped(client: Archive, archive: SmallArchive):
    archive.cut = [1000, 50]
    assert client.map("EMD-1234", DIGEST).read_bytes() == CONTENT
    assert [first for _, first in archive.asked] == [0, 1000, 1050]


def test_a_run_that_broke_off_is_gone_on_with(client: Archive, archive: SmallArchive):
    archive.cut = [10, 10, 10]
    with pytest.raises(ArchiveError, match=r"emd_1234\.map\.gz cannot be fetched .* is kept in .*cache"):
        client.map("EMD-1234")
    assert client.map("EMD-1234").read_bytes() == CONTENT
    assert archive.asked[-1] == (PLACE, 30)


def test_a_server_without_ranges_sends_it_all_again(client: Archive, archive: SmallArchive):
    archive.cut, archive.ranges = [1000], False
    assert client.map("EMD-1234", DIGEST).read_bytes() == CONTENT
    assert [first for _, first in archive.asked] == [0, 1000]


@pytest.mark.parametrize("half", [CONTENT[:50][::-1], CONTENT + b"more", CONTENT])
@pytest.mark.parametrize("digest", ["", DIGEST])
def test_half_a_file_of_another_version_is_dropped(client: Archive, half: bytes, digest: str):
    folder = client.cache / "structures"
    folder.mkdir(parents=True)
    (folder / "1abc.cif.gz.part").write_bytes(half)
    assert client.structure("1abc", digest).read_bytes() == CONTENT


def test_a_wrong_checksum_is_told(client: Archive, archive: SmallArchive):
    with pytest.raises(MissingEntryError, match=f"1abc.cif.gz has the SHA-256 {DIGEST}, not {'0' * 64} as listed"):
        client.structure("1abc", "0" * 64)
    assert len(archive.asked) == 1 and not (client.cache / "structures" / "1abc.cif.gz").exists()
    archive.files["/1abc.cif.gz"] = CONTENT[:-9]
    with pytest.raises(MissingEntryError, match="1abc.cif.gz is no whole gzip file"):
        client.structure("1abc")


def test_a_cached_file_that_is_not_the_listed_one_is_fetched_again(client: Archive):
    (client.cache / "structures").mkdir(parents=True)
    (client.cache / "structures" / "1abc.cif.gz").write_bytes(b"old")
    assert client.structure("1abc").read_bytes() == b"old"
    assert client.structure("1abc", DIGEST).read_bytes() == CONTENT


def test_what_is_not_there_is_told_at_once_and_a_busy_server_is_asked_again(client: Archive, archive: SmallArchive):
    with pytest.raises(MissingEntryError, match=r"9xyz\.cif\.gz is not there \(HTTP 404\)"):
        client.structure("9xyz")
    assert len(archive.asked) == 1
    archive.errors = [503, 429]
    assert client.structure("1abc").read_bytes() == CONTENT
    archive.errors = [401]
    with pytest.raises(ArchiveError, match=r"is refused \(HTTP 401"):
        client.map("EMD-1234")


def test_no_network_is_told_with_the_address(tmp_path: Path):
    nowhere = Archive(cache=tmp_path, structure_url="http://127.0.0.1:9/{id}.cif.gz", attempts=2, pause=0.0)
    with pytest.raises(ArchiveError, match=r"http://127.0.0.1:9/1abc.cif.gz cannot be fetched .*check the network"):
        nowhere.structure("1abc")


@pytest.mark.parametrize("url", ["ftp://files.org/{id}", "https://files.org/", "file:///etc/{id}", "files.org/{id}"])
def test_addresses_that_cannot_be_are_refused(tmp_path: Path, url: str):
    with pytest.raises(ConfigError, match="is no address of an archive"):
        Archive(cache=tmp_path, map_url=url)


def test_a_map_without_a_number_is_refused(client: Archive):
    with pytest.raises(ConfigError, match="'1234' is no EMDB identifier; give one such as EMD-1234"):
        client.map("1234")
