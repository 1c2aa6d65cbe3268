"""The wheel is the whole program: built, installed into an empty environment and run far from the repository.

Downloading jax and its kin again would cost a clean machine half a gigabyte and minutes. The fresh environment gets
links to the installed packages instead, but to those alone that the wheel's own metadata ask for, directly or not; pip
then resolves offline. So a package that is imported and not declared, or a version that is not there, still fails.
"""

import gzip
import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deepmm_jax.density.mrc import read_map
from reference.summary import read_summary


pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ("experimental", "simulated", "secondary-structure", "box-a", "box-b")
PLACES = (
    ("deepmm_jax/checkpoints/", "checkpoints/"),
    ("deepmm_jax/examples/", "examples/"),
    ("deepmm_jax_cli/", "cli/deepmm_jax_cli/"),
)
"""Where what lies elsewhere in the wheel comes from."""
WHEEL_LIMIT, SDIST_LIMIT = 22e6, 24e6
"""Bytes: 20 MB of weights at most, and all the rest."""
LEFT_OVER = r"(^|/)(data|runs|demo|dist|\.venv|__pycache__)/|\.(mrc|ccp4|pyc)(\.gz)?$"


@dataclass(frozen=True)
class Built:
    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Environment:
    directory: Path

    def run(self, *command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        """A program of the environment, without anything that leads to the repository."""
        hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "DEEPMM_JAX_DATA", "PYTHONSTARTUP"}
        variables = {name: value for name, value in os.environ.items() if name not in hidden}
        variables["PATH"] = f"{self.directory / 'bin'}{os.pathsep}{os.defpath}"
        program, *arguments = map(str, command)
        program = str(self.directory / "bin" / program)
        return subprocess.run(
            [program, *arguments], cwd=cwd, env=variables, capture_output=True, text=True, check=False
        )


def large(contents: dict[str, bytes]) -> list[str]:
    """Files beyond 200 kB that are no weights."""
    return [name for name, c in contents.items() if len(c) > 200_000 and not name.startswith("checkpoints/")]


def build(source: Path, folder: Path, *options: str) -> list[Path]:
    """What the build back-end makes of a source tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *options]
    result = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The wheel and the sdist of the working tree."""
    sdist, wheel = sorted(build(ROOT, tmp_path_factory.mktemp("dist")), key=lambda path: path.suffix)
    return Built(wheel=wheel, sdist=sdist)


@pytest.fixture(scope="module")
def wheel_files(built: Built) -> dict[str, bytes]:
    with zipfile.ZipFile(built.wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def sdist_files(built: Built) -> dict[str, bytes]:
    """Without the leading folder."""
    files = {}
    with tarfile.open(built.sdist) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                files[member.name.split("/", 1)[1]] = stream.read()
    return files


@pytest.fixture(scope="module")
def needs(wheel_files: dict[str, bytes]) -> list[Requirement]:
    """What the metadata of the wheel ask for."""
    (name,) = [name for name in wheel_files if name.endswith(".dist-info/METADATA")]
    lines = re.findall(r"^Requires-Dist: (.*)$", wheel_files[name].decode(), re.MULTILINE)
    return [Requirement(line) for line in lines]


def installed(needs: list[Requirement]) -> Iterator[Distribution]:
    """The packages installed here that satisfy requirements, and all that those need."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(need, "") for need in needs]
    while waiting:
        need, extra = waiting.pop()
        if need.marker is not None and not need.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(need.name)
        for wanted in {"", *need.extras} - {e for n, e in seen if n == name}:
            seen.add((name, wanted))
            try:
                found[name] = distribution(name)
            except PackageNotFoundError:
                continue  # pip will complain if it is needed
            waiting += [(Requirement(text), wanted) for text in found[name].requires or []]
    yield from found.values()


@pytest.fixture(scope="module")
def environment(built: Built, needs: list[Requirement], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A fresh environment into which pip has installed the wheel."""
    directory = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(directory)
    packages = directory / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for package in installed(needs):
        tops = {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}
        for top in tops:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(package.locate_file(top))))
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(directory / "bin" / "python"), "install"),
            *("--quiet", "--disable-pip-version-check", "--no-index", str(built.wheel)),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
    )
    assert result.returncode == 0, result.stderr
    return Environment(directory)


def test_wheel_holds_weights_example_tables_schema_and_licence(wheel_files: dict[str, bytes]):
    for name in NETWORKS:
        card = json.loads(wheel_files[f"deepmm_jax/checkpoints/{name}/card.json"])
        assert card["kind"]
        weights = [file for file in wheel_files if file.startswith(f"deepmm_jax/checkpoints/{name}/weights/")]
        assert sum(len(wheel_files[file]) for file in weights) > 500_000
    assert wheel_files["deepmm_jax/examples/1ake_A.fasta"].startswith(b">")
    assert b"\nATOM " in gzip.decompress(wheel_files["deepmm_jax/examples/1ake_A.pdb.gz"])
    assert b"CC0" in wheel_files["deepmm_jax/examples/README.md"], "the licence of the example"
    assert "deepmm_jax/density/experimental/simulated-experimental-v1.toml" in wheel_files
    assert {"deepmm_jax/training/lists/train.txt", "deepmm_jax/training/lists/real-maps.txt"} <= wheel_files.keys()
    assert json.loads(wheel_files["deepmm_jax_cli/summary.schema.json"])["type"] == "object"
    assert "deepmm_jax/py.typed" in wheel_files
    (licence,) = [name for name in wheel_files if name.endswith(".dist-info/licenses/LICENSE")]
    assert wheel_files[licence] == (ROOT / "LICENSE").read_bytes()


def test_wheel_is_the_source_and_nothing_else(built: Built, wheel_files: dict[str, bytes]):
    """Every file has its twin in the repository, no module or table is missing, and no left-over slips in."""
    assert built.wheel.stat().st_size < WHEEL_LIMIT
    sources = {}
    for name in wheel_files:
        if ".dist-info/" not in name:
            inside, outside = next((pair for pair in PLACES if name.startswith(pair[0])), ("", ""))
            sources[outside + name.removeprefix(inside)] = wheel_files[name]
    assert all((ROOT / name).read_bytes() == content for name, content in sources.items())
    needed = ("*.py", "*.json", "*.npz", "*.toml", "*.txt")
    modules = [path for folder in ("deepmm_jax", "cli") for kind in needed for path in (ROOT / folder).rglob(kind)]
    assert {path.relative_to(ROOT).as_posix() for path in modules} <= sources.keys()
    odd = [
        name
        for name in sources
        if "/lists/" not in name and re.search(rf"{LEFT_OVER}|(^|/)tests?/|\.(map|cif|csv)(\.gz)?$", name)
    ]
    assert not odd + large(sources)


def test_sdist_holds_what_a_packager_needs_and_no_data(built: Built, sdist_files: dict[str, bytes]):
    assert built.sdist.stat().st_size < SDIST_LIMIT
    assert {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "Makefile"} <= sdist_files.keys()
    assert {"requirements.lock", "tests/conftest.py", "docs/usage.md", "benchmarks/speed.py"} <= sdist_files.keys()
    allowed = {"deepmm_jax", "cli", "checkpoints", "examples", "tests", "docs", "benchmarks"}
    assert {name.split("/")[0] for name in sdist_files if "/" in name} == allowed
    assert not [name for name in sdist_files if re.search(LEFT_OVER, name)] + large(sdist_files)


def test_sdist_builds_the_same_wheel(built: Built, wheel_files: dict[str, bytes], tmp_path: Path):
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    (again,) = build(source, tmp_path / "dist", "-t", "wheel")
    with zipfile.ZipFile(again) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert files.keys() == wheel_files.keys()
    assert files == wheel_files


def test_metadata_pin_jax_and_name_the_gpu_extras(wheel_files: dict[str, bytes], needs: list[Requirement]):
    (name,) = [name for name in wheel_files if name.endswith(".dist-info/METADATA")]
    text = wheel_files[name].decode().split("\n\n")[0]
    (jax,) = [need for need in needs if need.name == "jax" and need.marker is None]
    versions = ("0.10.0", "0.10.1", "0.10.2", "0.10.3", "0.11.0")
    assert list(jax.specifier.filter(versions)) == ["0.10.1", "0.10.3"]
    for extra in ("cuda12", "cuda13"):
        (gpu,) = [need for need in needs if need.marker is not None and need.marker.evaluate({"extra": extra})]
        assert (gpu.name, gpu.extras) == ("jax", {extra})
    for python in ("3.11", "3.12"):
        assert f"Classifier: Programming Language :: Python :: {python}" in text
    assert "Requires-Python: >=3.11" in text
    assert "License-Expression: BSD-3-Clause" in text


def test_installed_wheel_works_from_another_folder(environment: Environment, tmp_path: Path):
    """Far enough to need the example and the weights; `make demo` goes on from there to the model."""
    script = "from importlib.util import find_spec as f; print(*map(f, ('deepmm_jax', 'deepmm_jax_cli', 'pytest')))"
    found = environment.run("python", "-c", script, cwd=tmp_path).stdout
    assert re.findall(r"origin='(.*?)/lib/", found) == [str(environment.directory)] * 2, "the wheel is what runs"
    assert found.endswith("None\n"), "development packages are out of sight"

    every = "[import_module(m.name) for m in walk_packages(d.__path__, 'deepmm_jax.')]"
    script = f"import deepmm_jax as d; from importlib import import_module; from pkgutil import walk_packages; {every}"
    loaded = environment.run("python", "-c", script, cwd=tmp_path)
    assert loaded.returncode == 0, loaded.stderr
    (structure,) = environment.directory.rglob("examples/1ake_A.pdb.gz")
    simulated = environment.run("deepmm-jax", "simulate", structure, "-o", "map.mrc", cwd=tmp_path)
    assert simulated.returncode == 0, simulated.stderr
    build = ("build", "map.mrc", "-s", structure.with_name("1ake_A.fasta"), "-o", "made", "--preset", "simulated")
    result = environment.run("deepmm-jax", *build, "--rotations", "1", "--until", "evidence", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert read_summary(tmp_path / "made")["n_residues"] == 214
    assert read_map(tmp_path / "made" / "maps" / "calpha.mrc").data.max() > 0.5
    assert {path.name for path in tmp_path.iterdir()} == {"map.mrc", "made"}, "nothing is written elsewhere"
