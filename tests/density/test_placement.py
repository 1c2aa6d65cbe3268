"""A density has one place, whichever way its file says so, and a model built into it lies there too."""

import gzip
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
import pytest

from deepmm_jax.config import PRESETS, ThreadingConfig
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import describe_map, read_map, write_map
from deepmm_jax.density.resample import resample_map, straighten
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import MapError
from deepmm_jax.pipeline import build_chains, map_evidence
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from reference.mrc_files import DATA, MODE, ORIGIN, STEP, mrc_bytes


EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "1ake_A.pdb.gz"
NOWHERE = (0, 0, 0)


def put(folder: Path, content: bytes) -> Path:
    path = folder / "map.mrc"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("axes", list(itertools.permutations((1, 2, 3))))
def test_start_indices_place_the_map_in_any_axis_order(tmp_path: Path, axes: tuple[int, int, int]):
    """They stand in the order of the file, unlike ORIGIN, cell and sampling."""
    found = read_map(put(tmp_path, mrc_bytes(axes=axes, origin=NOWHERE, start=(-10, 10, 20))))
    np.testing.assert_allclose(found.origin, ORIGIN, rtol=1e-6)
    np.testing.assert_array_equal(found.data, DATA)
    assert found.placement == "nstart"


def test_origin_and_start_are_never_added(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = put(tmp_path, mrc_bytes(start=(4, 5, 6)))
    for rule, placement, place in (
        ("auto", "origin", ORIGIN),
        ("origin", "origin", ORIGIN),
        ("nstart", "nstart", np.array([4, 5, 6]) * STEP),
        ("zero", "zero", np.zeros(3)),
    ):
        found = read_map(path, origin=rule)
        np.testing.assert_allclose(found.origin, place, rtol=1e-6)
        assert found.placement == placement
        warned = "ORIGIN puts the first voxel at (-12.5, 7.5, 30) Å, the start indices at (5, 3.75, 9) Å" in caplog.text
        assert warned == (rule == "auto"), "whoever gives a rule has decided"
        caplog.clear()


def test_origin_and_start_that_agree_are_no_matter(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """As EMAN2 and EMD-6374 have it."""
    found = read_map(put(tmp_path, mrc_bytes(start=(-10, 10, 20))))
    np.testing.assert_allclose(found.origin, ORIGIN, rtol=1e-6)
    assert caplog.text == ""


def test_origin_between_voxels_counts_to_the_digit(tmp_path: Path):
    found = read_map(put(tmp_path, mrc_bytes(origin=(0.3, -0.41, 1e-3))))
    np.testing.assert_allclose(found.origin, (0.3, -0.41, 1e-3), rtol=1e-6)


def test_small_box_from_the_far_end_of_a_large_cell(tmp_path: Path):
    """Start indices of more than ten times the box, as EMDB's sub-maps have, are no slip."""
    sampling = (400, 400, 400)
    path = put(tmp_path, mrc_bytes(origin=NOWHERE, start=(380, -350, 300), sampling=sampling))
    np.testing.assert_allclose(read_map(path).origin, np.array([380, -350, 300]) * STEP, rtol=1e-6)


@pytest.mark.parametrize("origin", [(0, 0, 0), (np.nan, 0, 0), (1e30, 0, 0)])
@pytest.mark.parametrize("start", [(0, 0, 0), (-2_000_000, 0, 0)])
def test_implausible_placement_counts_as_unset(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, origin: tuple[float, ...], start: tuple[int, ...]
):
    found = read_map(put(tmp_path, mrc_bytes(origin=origin, start=start)))
    np.testing.assert_array_equal(found.origin, 0)
    assert found.placement == "zero"
    assert caplog.text.count("not set") == (origin != (0, 0, 0)) + (start != (0, 0, 0)), "and that is said"


# ---- oblique cells


ANGLES = [(90, 90, 120), (80, 95, 110), (90, 105, 90)]


def lattice_of(step: float, angles: tuple[float, ...]) -> np.ndarray:
    """Steps along the axes of the cell, after the PDB's convention."""
    alpha, beta, gamma = np.radians(angles)
    cx, cy = np.cos(beta), (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
    columns = [(1, 0, 0), (np.cos(gamma), np.sin(gamma), 0), (cx, cy, np.sqrt(1 - cx**2 - cy**2))]
    return step * np.array(columns).T


def positions(shape: tuple[int, ...], lattice: np.ndarray, first: np.ndarray) -> np.ndarray:
    ijk = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return first + ijk @ lattice.T


@pytest.mark.parametrize("rule", ["origin", "nstart"])
@pytest.mark.parametrize("angles", ANGLES)
def test_oblique_cell_shows_the_same_density(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, angles: tuple[float, ...], rule: str
):
    """A blob is where it is; the start indices count along the axes of the cell."""
    step, shape, start = 1.2, (26, 28, 30), (-40, 7, 12)
    lattice = lattice_of(step, angles)
    first = np.array([3.3, -4.4, 5.5]) if rule == "origin" else lattice @ start
    centre = first + lattice @ np.array([12.2, 14.9, 15.1])

    def blob(xyz: np.ndarray) -> np.ndarray:
        return np.exp(-((xyz - centre) ** 2).sum(-1) / 6).astype(np.float32)

    path = put(
        tmp_path,
        mrc_bytes(
            blob(positions(shape, lattice, first)),
            axes=(3, 1, 2),
            angles=angles,
            step=(step,) * 3,
            origin=first if rule == "origin" else NOWHERE,
            start=start if rule == "nstart" else NOWHERE,
        ),
    )
    found = read_map(path)
    assert found.placement == rule
    np.testing.assert_allclose(found.step, step, rtol=1e-6)
    np.testing.assert_allclose(found.data, blob(positions(found.shape, np.diag(found.step), found.origin)), atol=0.01)
    peak = found.to_xyz(np.array(np.unravel_index(found.data.argmax(), found.shape)))
    assert np.linalg.norm(peak - centre) < step
    said = f"cell angles {', '.join(map(str, angles))}°: resampled on a right-angled grid"
    assert said in caplog.text and said in describe_map(path)["warnings"][0]
    corners = positions((2, 2, 2), lattice * (np.array(shape) - 1), first).reshape(-1, 3)
    np.testing.assert_allclose(found.origin, corners.min(axis=0), atol=1e-4)
    assert (found.to_xyz(np.array(found.shape)) > corners.max(axis=0) - 1e-3).all(), "the whole box is there"


def test_lattice_is_that_of_gemmi():
    for angles in ANGLES:
        expected = gemmi.UnitCell(1.3, 1.3, 1.3, *angles).orth.mat.tolist()
        np.testing.assert_allclose(lattice_of(1.3, angles), expected, atol=1e-9)


def test_three_angstrom_wave_survives_an_oblique_cell():
    """98 % of its amplitude, from a 1.3 Å grid, whichever way it runs."""
    lattice = lattice_of(1.3, (90, 90, 120))
    for way in np.eye(3):
        wave = np.cos(2 * np.pi * positions((36, 36, 36), lattice, np.zeros(3)) @ way / 3 + 0.3).astype(np.float32)
        data, step, first = straighten(wave, lattice, "map.mrc")
        xyz = positions(data.shape, np.diag(step), first)
        ijk = xyz @ np.linalg.inv(lattice).T
        inside = ((ijk > 12) & (ijk < 23)).all(axis=-1)
        phases = 2 * np.pi * xyz[inside] @ way / 3
        waves = np.stack([np.cos(phases), np.sin(phases)], axis=1)
        assert 0.975 < np.hypot(*np.linalg.lstsq(waves, data[inside], rcond=None)[0]) < 1.01


def test_flat_cells_and_large_oblique_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    flat = read_map(put(tmp_path, mrc_bytes(angles=(60, 60, 120))))
    np.testing.assert_array_equal(flat.data, DATA)
    monkeypatch.setattr("deepmm_jax.density.resample._MAX_OBLIQUE_VOXELS", 1000)
    with pytest.raises(MapError, match="map.mrc: the oblique cell is too large"):
        read_map(put(tmp_path, mrc_bytes(angles=(90, 90, 120))))


# ---- maps that are written


@pytest.mark.parametrize("form", ["origin", "nstart", "permuted"])
def test_written_maps_overlay_the_input_in_mrcfile(tmp_path: Path, rng: np.random.Generator, form: str):
    """Seen by a reader that knows ORIGIN and nothing else, the grid made of a map lies on the map; mrcfile-validate."""
    first = np.array([-36.3, 24.2, 60.5])
    data = rng.random((14, 17, 15)).astype(np.float32)
    data[9, 4, 11] = 30
    forms = {
        "origin": mrc_bytes(data, step=(1.21,) * 3, origin=first),
        "nstart": mrc_bytes(data, step=(1.21,) * 3, origin=NOWHERE, start=(-30, 20, 50), order=">"),
        "permuted": mrc_bytes(data, step=(1.21,) * 3, origin=first, axes=(2, 3, 1)),
    }
    write_map(tmp_path / "out.mrc", resample_map(read_map(put(tmp_path, forms[form]))))
    assert mrcfile.validate(tmp_path / "out.mrc")
    with mrcfile.open(tmp_path / "out.mrc") as mrc:
        assert mrc.header.mode == 2 and (mrc.header.mapc, mrc.header.mapr, mrc.header.maps) == (1, 2, 3)
        assert (mrc.header.nxstart, mrc.header.nystart, mrc.header.nzstart) == (0, 0, 0)
        kji = np.unravel_index(mrc.data.argmax(), mrc.data.shape)
        peak = np.array(mrc.header.origin.tolist()) + np.array(mrc.voxel_size.tolist()) * kji[::-1]
    assert np.abs(peak - (first + 1.21 * np.array([9, 4, 11]))).max() < 0.51


# ---- models


@pytest.fixture(scope="module")
def piece() -> Chain:
    """The first 45 residues of adenylate kinase."""
    (chain,) = read_chains(EXAMPLE)
    kept = chain.residue_of_atom < 45
    return replace(
        chain,
        sequence=chain.sequence[:45],
        numbers=chain.numbers[:45],
        positions=chain.positions[kept],
        atom_names=tuple(itertools.compress(chain.atom_names, kept)),
        elements=tuple(itertools.compress(chain.elements, kept)),
        residue_of_atom=chain.residue_of_atom[kept],
        b_factors=chain.b_factors[kept],
        full_sequence=None,
        register=None,
    )


@pytest.fixture(scope="module")
def build(piece: Chain) -> Callable[[DensityMap], np.ndarray]:
    """Cα positions that the shipped network and few searches give."""
    preset = PRESETS["simulated"]
    config = replace(preset, rotations=1, threading=ThreadingConfig(searches=1, moves=200))
    profile = SequenceProfile(
        name="piece",
        letters=piece.sequence,
        secondary_structure=np.zeros((len(piece), 3), np.float32),
    )

    def positions_built(density: DensityMap) -> np.ndarray:
        (models,) = build_chains(map_evidence(density, len(piece), config), [profile], config, seed=1)
        return np.where(models.built[0][:, None], models.positions[0], np.nan)

    return positions_built


@pytest.mark.slow
def test_one_density_written_many_ways_gives_the_same_atoms(
    piece: Chain, build: Callable[[DensityMap], np.ndarray], tmp_path: Path
):
    """Within 0.01 Å. What a file cannot alter is compared bit by bit; other units and places are built again."""
    step, start = 1.2, np.array([-9, 14, 30])
    density = simulate_map(piece.positions, piece.atomic_numbers, 5.0, step)
    data = np.rint(density.data * (127 / density.data.max()))  # every mode can hold it
    cell, place = {"step": (step,) * 3}, start * step
    at_origin, by_start = {"origin": place, **cell}, {"origin": NOWHERE, "start": start, **cell}
    written = {
        "ORIGIN": mrc_bytes(data, **at_origin),
        "start indices": mrc_bytes(data, **by_start),
        "both": mrc_bytes(data, start=start, **at_origin),
        "part of a larger cell": mrc_bytes(data, sampling=(90, 100, 110), **by_start),
        "extended header, space group 0": mrc_bytes(data, extended=b"X,Y,Z".ljust(80), space_group=0, **at_origin),
        "gzipped": gzip.compress(mrc_bytes(data, **at_origin)),
        **{f"mode {mode}": mrc_bytes(data, mode=mode, **at_origin) for mode in MODE},
        **{
            f"axes {axes}, big-endian": mrc_bytes(data, axes=axes, order=">", **by_start)
            for axes in itertools.permutations((1, 2, 3))
        },
    }
    maps = {name: read_map(put(tmp_path, content)) for name, content in written.items()}
    for name, found in maps.items():
        np.testing.assert_array_equal(found.data, data, err_msg=name)
        np.testing.assert_allclose(found.origin, place, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(found.step, step, rtol=1e-6, err_msg=name)

    expected = build(maps["ORIGIN"])
    assert np.isfinite(expected).all(axis=1).sum() >= 40
    np.testing.assert_allclose(build(maps["start indices"]), expected, atol=0.01)
    other_units = read_map(put(tmp_path, mrc_bytes(250 * data, mode=1, axes=(2, 3, 1), **by_start)))
    np.testing.assert_allclose(build(other_units), expected, atol=0.01)
    far = 8000
    moved = build(read_map(put(tmp_path, mrc_bytes(data, origin=place + far, **cell)))) - far
    np.testing.assert_allclose(moved, expected, atol=0.01, err_msg=f"{far} Å from zero")


@pytest.mark.slow
def test_rounding_to_half_precision_or_bytes_hardly_moves_the_evidence(piece: Chain, tmp_path: Path):
    """Float16 loses 0.05 %, bytes 0.2 % of the maximum. (Searches on it may branch elsewhere at single residues.)"""
    density = simulate_map(piece.positions, piece.atomic_numbers, 5.0, 1.2)
    levels = np.rint(density.data * (255 / density.data.max()))
    half = mrc_bytes(density.data, mode=12, step=(1.2,) * 3, origin=density.origin)
    content = mrc_bytes(levels, mode=1, step=(1.2,) * 3, origin=density.origin)
    unsigned = content[:12] + bytes(4) + content[16:1024] + levels.transpose(2, 1, 0).astype("u1").tobytes()
    exact, *rounded = (
        map_evidence(given, len(piece), replace(PRESETS["simulated"], rotations=1)).main_chain
        for given in (density, *(read_map(put(tmp_path, content)) for content in (half, unsigned)))
    )
    for found, worst in zip(rounded, (0.02, 0.1), strict=True):
        assert np.abs(exact - found).max() < worst
        assert np.corrcoef(exact.ravel(), found.ravel())[0, 1] > 0.999
