"""What every command says of input that it cannot use: exit code 2 and one sentence, before anything is written.

The tables run in this process, where JAX is loaded; `test_answer_comes_within_five_seconds` starts programs.
"""

import gzip
import json
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import read_map, write_map
from deepmm_jax.networks.checkpoints import save_checkpoint
from deepmm_jax.networks.whole_map import WholeMapConfig, initial_parameters


SECONDS = 5.0
"""What a user waits for the answer at most."""


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
    words = np.frombuffer(whole[:1024], "<i4")
    for name, word, value in (
        ("header_larger.mrc", slice(0, 3), 900),
        ("gigantic.mrc", slice(0, 3), 10**5),
        ("negative.mrc", 0, -5),
        ("transform.mrc", 3, 4),
        ("no_axes.mrc", 16, 77),
    ):
        changed = words.copy()
        changed[word] = value
        (folder / name).write_bytes(changed.tobytes() + whole[1024:])
    values = np.frombuffer(whole[1024:], "<f4")
    for name, value in (("zero.mrc", 0), ("constant.mrc", 3.5), ("nan.mrc", np.nan)):
        (folder / name).write_bytes(whole[:1024] + np.full_like(values, value).tobytes())
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
    card = json.loads((folder / "damaged" / "card.json").read_text())
    for name, text in {
        "card_words": "not JSON {",
        "card_list": "[1, 2]",
        "card_bare": '{"kind": "whole-map"}',
        "card_kind": '{"kind": "secondary-structure"}',
        "card_sizes": json.dumps(card | {"network": {"width": "wide"}}),
    }.items():
        shutil.copytree(inputs / "network", folder / name)
        (folder / name / "card.json").write_text(text)
    shutil.copytree(inputs / "network", folder / "cut")
    for file in (folder / "cut" / "weights").rglob("*"):
        if file.is_file() and file.stat().st_size > 1000:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    other = WholeMapConfig(width=16, coarse_width=8, fine_blocks=1, coarse_blocks=1, head_width=8)
    save_checkpoint(folder / "other_shapes", initial_parameters(other), card)
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
    ({"MAP": "empty.fasta"}, r"empty\.fasta: is empty"),
    ({"MAP": "header_larger.mrc"}, r"header_larger\.mrc: holds \d+ of the 2916001024 bytes .* truncated"),
    ({"MAP": "gigantic.mrc"}, r"gigantic\.mrc: 100000 × 100000 × 100000 voxels are more than"),
    ({"MAP": "negative.mrc"}, r"negative\.mrc: -5 × \d+ × \d+ voxels are not a volume"),
    ({"MAP": "transform.mrc"}, r"transform\.mrc: mode 4 \(a Fourier transform\)"),
    ({"MAP": "no_axes.mrc"}, r"no_axes\.mrc: .*damaged"),
    ({"MAP": "zero.mrc"}, r"zero\.mrc: every voxel is 0"),
    ({"MAP": "constant.mrc"}, r"constant\.mrc: every voxel is 3\.5"),
    ({"MAP": "nan.mrc"}, r"nan\.mrc: .*(empty|finite|NaN)"),
    ({"MAP": "inverted.mrc"}, r"inverted\.mrc: the map has no positive density"),
    ({"--sequence": "missing.fasta"}, r"missing\.fasta cannot be read \(No such file or directory\)"),
    ({"--sequence": "empty.fasta"}, r"empty\.fasta is empty"),
    ({"--sequence": "header.fasta"}, r"header\.fasta: record 'nothing' has no sequence"),
    ({"--sequence": "digits.fasta"}, r"digits\.fasta: record 'one' holds '0' at position 7"),
    ({"--sequence": "dna.fasta"}, r"dna\.fasta: record 'gene' is made of nucleotides \(ATGCGTATTA…\)"),
    ({"--sequence": "short.fasta"}, r"short\.fasta: record 'short' has 7 residues; at least 10"),
    ({"--sequence": "binary.fasta"}, r"binary\.fasta is a binary file"),
    ({"--sequence": "full"}, r"full cannot be read \(Is a directory\)"),
    ({"--sequence": "cut.mrc"}, r"cut\.mrc is a binary file"),
    ({"--secondary-structure": "missing.ss2"}, r"missing\.ss2 cannot be read"),
    ({"--secondary-structure": "other.ss"}, r"other\.ss: residue 1 is K, in the sequence M"),
    ({"--secondary-structure": "long.ss"}, r"long\.ss: it holds 41 residues, the sequence 40"),
    ({"--secondary-structure": "letters.ss"}, r"letters\.ss: 'Z' at position 1 is no secondary structure"),
    ({"--secondary-structure": "binary.fasta"}, r"binary\.fasta (is a binary file|cannot be read)"),
    ({"--secondary-structure": "empty.fasta"}, r"empty\.fasta is empty"),
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
    ({"--checkpoint": "cut"}, r"cut/weights is damaged or belongs to another network"),
    ({"--checkpoint": "other_shapes"}, r"other_shapes/weights is damaged or belongs to another network \(.* has shape"),
    ({"--checkpoint": "card_words"}, r"card_words/card\.json cannot be read"),
    ({"--checkpoint": "card_list"}, r"card_list/card\.json holds a list"),
    ({"--checkpoint": "card_bare"}, r"card_bare' does not give the network's sizes"),
    ({"--checkpoint": "card_kind"}, r"card_kind' holds a 'secondary-structure' network, not a whole-map one"),
    ({"--checkpoint": "card_sizes"}, r"card_sizes' does not give the network's sizes"),
    ({"--checkpoint": "full"}, r"full' has no card\.json"),
    ({"--config": "full"}, r"--config .*full cannot be read"),
    ({"--config": "missing.toml"}, r"--config .*missing\.toml cannot be read"),
    ({"--config": "bad.toml"}, r"--config .*bad\.toml cannot be read"),
    ({"--config": "unknown.toml"}, r"unknown\.toml \[tracing\]: 'turns' is no setting"),
    ({"--config": "wrong.toml"}, r"wrong\.toml \[alignment\]: models is 'ten' and must be a whole number"),
    ({"--models": "0"}, r"'--models': .* 1, not 0"),
    ({"--models": "101"}, r"'--models': .* 100, not 101"),
    ({"--threads": "0"}, r"'--threads': .* 1, not 0"),
    ({"--seed": "-1"}, r"'--seed': .* 0, not -1"),
    ({"--seed": "1.5"}, r"'--seed': .*not 1\.5"),
    ({"--rotations": "3"}, r"'--rotations': '3' is not one of '1', '4', '24'"),
    ({"--resolution": "five"}, r"'--resolution' / '-r': .*not five"),
    ({"--preset": "best"}, r"'--preset': 'best' is not one of 'experimental'"),
    ({"--until": "the end"}, r"'--until': 'the end' is not one of 'evidence', 'calpha', 'allatom'"),
    ({"--b-factor": "zero"}, r"'--b-factor': 'zero' is not one of 'confidence', 'fitted'"),
    ({"--b-factor": "fitted"}, r"--b-factor fitted needs --resolution and all atoms"),
    ({"--b-factor": "fitted", "--resolution": "5", "--until": "calpha"}, r"--b-factor fitted needs .* all atoms"),
    ({"--device": "tpu"}, r"'--device': 'tpu' is not one of 'auto', 'cpu', 'gpu'"),
    ({"--origin": "here"}, r"'--origin': 'here' is not one of 'auto'"),
]
FILES = ("MAP", "--sequence", "--output", "--secondary-structure", "--mask", "--checkpoint", "--config")
"""Options whose value is a file."""


@pytest.mark.parametrize(("change", "sentence"), CASES, ids=[" ".join(sum(change.items(), ())) for change, _ in CASES])
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
        options[name] = bad / value if name in FILES and not value.startswith("no-") else value
    map_path = options.pop("MAP")
    started = time.process_time()
    outcome = command("build", map_path, *(word for pair in options.items() for word in pair))
    assert time.process_time() - started < SECONDS
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
    outcome = command("train", "box-b", "--data", inputs, "-o", tmp_path / "out", "--device", "gpu")
    assert outcome.code == 2 and outcome.err.startswith("deepmm-jax: --device gpu: JAX finds no GPU here")


COMMANDS = [
    ("info missing.mrc", r"missing\.mrc: cannot be read \(No such file"),
    ("info full", r"full: cannot be read \(Is a directory\)"),
    ("info empty.mrc", r"empty\.mrc: is empty"),
    ("info cut.mrc", r"cut\.mrc: .* truncated"),
    ("info words.map", r"words\.map: has no 'MAP'"),
    ("info photo.mrc --origin here", r"'--origin': 'here' is not one of"),
    ("evaluate missing.cif PIECE", r"missing\.cif "),
    ("evaluate PIECE missing.cif", r"missing\.cif "),
    ("evaluate full PIECE", r"full "),
    ("evaluate PIECE empty.mrc", r"empty\.mrc is empty"),
    ("evaluate PIECE cut.mrc", r"cut\.mrc "),
    ("evaluate PIECE dna.fasta", r"dna\.fasta "),
    ("simulate missing.cif -o OUT", r"missing\.cif "),
    ("simulate digits.fasta -o OUT", r"digits\.fasta "),
    ("simulate PIECE -o OUT --chain Z", r"piece\.pdb has no chain 'Z'; it has A"),
    ("simulate PIECE -o OUT --resolution 0", r"'--resolution' / '-r': .* 1, not 0"),
    ("simulate PIECE -o OUT --resolution nan", r"'--resolution' / '-r': .*not nan"),
    ("simulate PIECE -o OUT --step 0", r"'--step': .* 0\.2, not 0"),
    ("simulate PIECE -o full", r"full: cannot be written \(Is a directory\)"),
    ("simulate PIECE -o empty.fasta/map.mrc", r"empty\.fasta/map\.mrc: cannot be written \(Not a directory\)"),
    ("simulate PIECE -o nowhere/map.mrc", r"nowhere/map\.mrc: cannot be written \(No such file"),
    ("demo -o empty.fasta", r"--output .*empty\.fasta is a file"),
    ("demo -o empty.fasta/demo", r"--output .*empty\.fasta/demo cannot be written"),
    ("train whole-map --data nowhere -o OUT", r"--data .*nowhere is not a folder"),
    ("train whole-map --data full -o empty.fasta", r"--output .*empty\.fasta is a file"),
    ("train whole-map --data full -o OUT --config bad.toml", r"bad\.toml cannot be read"),
    ("train whole-map --data full -o OUT --config unknown.toml", r"unknown\.toml: 'tracing' is no setting"),
    ("train whole-map --data full -o OUT --steps 0", r"'--steps': .* 1, not 0"),
    ("train whole-map --data full -o OUT --minutes 0", r"'--minutes': .* 0\.01, not 0"),
    ("train whole-map --data full -o OUT --process 1", r"--processes and --process need --coordinator"),
    ("train box-a --data full -o OUT --coordinator here", r"coordinator .here. is not HOST:PORT"),
    ("train secondary-structure --data nowhere -o OUT", r"--data .*nowhere is not a folder"),
    ("train secondary-structure --data full -o OUT", r"secondary_structure\.csv\.gz does not exist"),
    ("train secondary-structure --data full -o empty.fasta/x", r"--output .*empty\.fasta/x cannot be written"),
    ("bild", r"No such command 'bild'"),
    ("train boxes", r"No such command 'boxes'"),
    ("info --loud", r"No such option: --loud"),
    ("build", r"Missing argument 'MAP'"),
]


@pytest.mark.parametrize(("line", "sentence"), COMMANDS, ids=[line for line, _ in COMMANDS])
def test_other_commands_name_it_too(
    command: Callable, inputs: Path, bad: Path, tmp_path: Path, line: str, sentence: str
):
    places = {"PIECE": inputs / "piece.pdb", "OUT": tmp_path / "out"}
    files = {word: bad / word for word in re.findall(r"(?:[a-z_]+\.[a-z]+\S*|full|nowhere\S*)", line)}
    before = sorted(bad.rglob("*"))
    started = time.process_time()
    outcome = command(*((places | files).get(word, word) for word in line.split()))
    assert time.process_time() - started < SECONDS
    assert outcome.code == 2, outcome.err
    assert re.search(sentence, outcome.err), outcome.err
    assert outcome.err.startswith("deepmm-jax: ") and outcome.err.count("\n") == 1, "one line"
    assert outcome.out == ""
    assert sorted(bad.rglob("*")) == before and not (tmp_path / "out").exists(), "nothing is written"


STARTED = [
    ("map.mrc -s digits.fasta", False),
    ("cut.mrc -s piece.fasta", False),
    ("map.mrc -s piece.fasta --secondary-structure other.ss", False),
    ("map.mrc -s piece.fasta --contour 1e9", False),
    ("map.mrc -s piece.fasta -o full", False),
    ("map.mrc -s piece.fasta --models 0", False),
    ("map.mrc -s piece.fasta --checkpoint cut", True),
]
"""Arguments, and whether JAX is needed to answer, which takes a second to load."""


@pytest.mark.parametrize(("line", "loads_jax"), STARTED, ids=[line for line, _ in STARTED])
def test_answer_comes_within_five_seconds(inputs: Path, bad: Path, tmp_path: Path, line: str, loads_jax: bool):
    """Of work, which other programs on the machine do not lengthen."""
    words = [next((d / w for d in (inputs, bad) if (d / w).exists()), w) for w in line.split()]
    output = [] if "-o" in words else ["-o", tmp_path / "out"]
    code = "import sys; from deepmm_jax_cli.main import run\ntry: run()\nfinally: print('jax' in sys.modules)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, "-c", code, "build", *map(str, [*words, *output])],
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("deepmm-jax: ") and result.stderr.count("\n") == 1, "one line"
    assert result.stdout == f"{loads_jax}\n", "JAX is loaded for the weights alone"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS
