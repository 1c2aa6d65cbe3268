"""What `build` says of input that it cannot use: exit code 2 and one sentence, before anything is written."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import read_map, write_map


def has_gpu() -> bool:
    try:
        return bool(jax.devices("gpu"))
    except RuntimeError:
        return False


@pytest.fixture(scope="module")
def bad(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of things that go wrong."""
    folder = tmp_path_factory.mktemp("bad")
    whole = (inputs / "map.mrc").read_bytes()
    density = read_map(inputs / "map.mrc")
    (folder / "empty.mrc").write_bytes(b"")
    (folder / "empty.mrc.gz").write_bytes(gzip.compress(b""))
    (folder / "cut.mrc").write_bytes(whole[: len(whole) // 2])
    (folder / "cut.mrc.gz").write_bytes(gzip.compress(whole)[:5000])
    (folder / "photo.mrc").write_bytes(b"\x89PNG" + bytes(range(256)) * 8)
    (folder / "words.map").write_text("no map at all\n" * 200)
    write_map(folder / "inverted.mrc", density.with_data(-1 - density.data))
    cube = np.ones((9, 9, 9), np.float32)
    cube[0] = 0
    write_map(folder / "other_grid.mrc", DensityMap(data=cube, step=np.ones(3), origin=np.zeros(3)))
    texts = {
        "empty.fasta": "",
        "header.fasta": ">nothing follows\n",
        "digits.fasta": ">one\nMRIILL0APGAGKGTQ\n",
        "dna.fasta": ">gene\nATGCGTATTATTCTGCTGGGC\n",
        "short.fasta": ">short\nMRIILLG\n",
        "other.ss": ">piece\n" + "K" * 40 + "\n" + "H" * 40 + "\n",
        "long.ss": "H" * 41 + "\n",
        "letters.ss": "Z" * 40 + "\n",
        "bad.toml": "[tracing\nrounds = 3\n",
        "unknown.toml": "[tracing]\nturns = 3\n",
        "wrong.toml": "[alignment]\nmodels = 'ten'\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "binary.fasta").write_bytes(bytes(range(256)))
    (folder / "full").mkdir()
    (folder / "full" / "thesis.txt").write_text("do not touch")
    (folder / "damaged").mkdir()
    (folder / "damaged" / "card.json").write_text((inputs / "network" / "card.json").read_text())
    return folder


CASES = [
    ({"MAP": "missing.mrc"}, r"missing\.mrc: cannot be read \(No such file or directory\)"),
    ({"MAP": "full"}, r"full: cannot be read \(Is a directory\)"),
    ({"MAP": "empty.mrc"}, r"empty\.mrc: is empty"),
    ({"MAP": "empty.mrc.gz"}, r"empty\.mrc\.gz: is empty"),
    ({"MAP": "cut.mrc"}, r"cut\.mrc: holds \d+ of the \d+ bytes .* truncated"),
    ({"MAP": "cut.mrc.gz"}, r"cut\.mrc\.gz: cannot be read"),
    ({"MAP": "photo.mrc"}, r"photo\.mrc: has no 'MAP' at byte 208"),
    ({"MAP": "words.map"}, r"words\.map: has no 'MAP' at byte 208"),
    ({"MAP": "inverted.mrc"}, r"the map has no positive density"),
    ({"--sequence": "missing.fasta"}, r"missing\.fasta cannot be read \(No such file or directory\)"),
    ({"--sequence": "empty.fasta"}, r"empty\.fasta is empty"),
    ({"--sequence": "header.fasta"}, r"header\.fasta: record 'nothing' has no sequence"),
    ({"--sequence": "digits.fasta"}, r"digits\.fasta: record 'one' holds '0' at position 7"),
    ({"--sequence": "dna.fasta"}, r"dna\.fasta: record 'gene' is made of nucleotides \(ATGCGTATTA…\)"),
    ({"--sequence": "short.fasta"}, r"short\.fasta: record 'short' has 7 residues; at least 10"),
    ({"--sequence": "binary.fasta"}, r"binary\.fasta is a binary file"),
    ({"--secondary-structure": "missing.ss2"}, r"missing\.ss2 cannot be read"),
    ({"--secondary-structure": "other.ss"}, r"other\.ss: residue 1 is K, in the sequence M"),
    ({"--secondary-structure": "long.ss"}, r"long\.ss: it holds 41 residues, the sequence 40"),
    ({"--secondary-structure": "letters.ss"}, r"letters\.ss: 'Z' at position 1 is no secondary structure"),
    ({"--mask": "missing.mrc"}, r"missing\.mrc: cannot be read"),
    ({"--mask": "other_grid.mrc"}, r"mask .*other_grid\.mrc has 9 × 9 × 9 voxels"),
    ({"--contour": "1e9"}, r"--contour 1e\+09 is above the maximum of .*map\.mrc"),
    ({"--contour": "nan"}, r"--contour nan cannot be right"),
    ({"--contour": "-1"}, r"--contour -1 cannot be right"),
    ({"--resolution": "0"}, r"--resolution 0 Å cannot be right"),
    ({"--resolution": "50"}, r"--resolution 50 Å cannot be right"),
    ({"--resolution": "nan"}, r"--resolution nan Å cannot be right"),
    ({"--output": "full"}, r"--output .*full is not empty; add --overwrite or --resume"),
    ({"--output": "empty.fasta"}, r"--output .*empty\.fasta is a file"),
    ({"--output": "empty.fasta/out"}, r"--output .*empty\.fasta/out cannot be written"),
    ({"--checkpoint": "no-such-network"}, r"checkpoint 'no-such-network' has no card\.json"),
    ({"--checkpoint": "damaged"}, r"damaged/weights is damaged or belongs to another network"),
    ({"--config": "missing.toml"}, r"--config .*missing\.toml cannot be read"),
    ({"--config": "bad.toml"}, r"--config .*bad\.toml cannot be read"),
    ({"--config": "unknown.toml"}, r"unknown\.toml \[tracing\]: 'turns' is no setting"),
    ({"--config": "wrong.toml"}, r"wrong\.toml \[alignment\]: models is 'ten' and must be a whole number"),
]
PLAIN = ("--contour", "--resolution")
"""Options whose value is not a file."""


@pytest.mark.parametrize(("change", "sentence"), CASES, ids=[" ".join(*change.items()) for change, _ in CASES])
def test_bad_input_is_named_in_one_sentence(
    command: Callable, inputs: Path, bad: Path, tmp_path: Path, change: dict[str, str], sentence: str
):
    options: dict[str, str | Path] = {
        "MAP": inputs / "map.mrc",
        "--sequence": inputs / "piece.fasta",
        "--output": tmp_path / "out",
        "--checkpoint": inputs / "network",
        "--secondary-structure": "none",
    }
    for name, value in change.items():
        options[name] = value if name in PLAIN or value.startswith("no-") else bad / value
    map_path = options.pop("MAP")
    outcome = command("build", map_path, *(word for pair in options.items() for word in pair))
    assert outcome.code == 2, outcome.err
    assert re.search(sentence, outcome.err), outcome.err
    assert outcome.err.startswith("deepmm-jax: ") and outcome.err.count("\n") == 1, "one line"
    assert outcome.out == ""
    assert not (tmp_path / "out").exists(), "nothing is written"
    assert (bad / "full" / "thesis.txt").read_text() == "do not touch"


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
def test_missing_gpu_is_said(command: Callable, inputs: Path, tmp_path: Path):
    outcome = command(
        "build", inputs / "map.mrc", "-s", inputs / "piece.fasta", "-o", tmp_path / "out", "--device", "gpu"
    )
    assert outcome.code == 2
    assert outcome.err.startswith("deepmm-jax: --device gpu: JAX finds no GPU here") and outcome.err.count("\n") == 1


def test_network_of_another_kind_is_refused(command: Callable, inputs: Path, tmp_path: Path):
    outcome = command(
        *("build", inputs / "map.mrc", "-s", inputs / "piece.fasta", "-o", tmp_path / "out"),
        *("--checkpoint", "secondary-structure"),
    )
    assert outcome.code == 2
    assert "checkpoint 'secondary-structure' holds a 'secondary-structure' network, not a whole-map one" in outcome.err
    assert not (tmp_path / "out").exists()
