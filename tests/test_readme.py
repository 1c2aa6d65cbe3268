"""The Python example of the README runs as it is printed."""

import re
from pathlib import Path

import pytest

from deepmm_jax.density.mrc import write_map
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.structure.read import read_chains


ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_python_example_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    (chain,) = read_chains(ROOT / "examples" / "1ake_A.pdb.gz")
    first, last = 0, 40
    seen = (chain.residue_of_atom >= first) & (chain.residue_of_atom < last)
    monkeypatch.chdir(tmp_path)
    write_map("chain_A.mrc", simulate_map(chain.positions[seen], chain.atomic_numbers[seen], 5.0))
    Path("vp6.fasta").write_text(f">piece of adenylate kinase\n{chain.sequence[first:last]}\n")
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    (models,) = names["models"]  # type: ignore[misc]
    assert models.positions.shape[1:] == (last - first, 3)
