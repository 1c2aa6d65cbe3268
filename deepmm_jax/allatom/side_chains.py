"""Side chains on a backbone: rotamers chosen together by library, contacts and map, then torsions moved.

The paper hands its Cα models to ctrip (Petrey et al. 2003); this needs no other program, and looks at the map.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from deepmm_jax.allatom.contacts import ATOM_KINDS, NOTHING
from deepmm_jax.allatom.packing import IMPOSSIBLE, best_states
from deepmm_jax.allatom.relaxation import place_beta
from deepmm_jax.allatom.rotamer_library import PER_RESIDUE, Conformers, conformers
from deepmm_jax.allatom.side_chain_costs import Scene, rotamer_costs, rotamer_pairs
from deepmm_jax.allatom.side_chain_descent import relax_torsions
from deepmm_jax.allatom.side_chain_geometry import PRESENT
from deepmm_jax.allatom.splined_map import SplinedMap, splined_map
from deepmm_jax.allatom.values import CB, AllAtomModel
from deepmm_jax.density.map import DensityMap
from deepmm_jax.structure.residue_atoms import LETTERS, backbone_torsions, residue_atoms


MARGIN = 10.0
"""Å from the main chain that side chains reach at most."""
NO_DENSITY = DensityMap(data=np.zeros((2, 2, 2), np.float32), step=np.ones(3), origin=np.zeros(3))


def place_side_chains(models: Sequence[AllAtomModel], density: DensityMap | None = None) -> list[AllAtomModel]:
    """Models with whole side chains on the main chain that they have; where N, Cα, C or O is missing, nothing stays.

    Main chain and Cβ stay where they are, but a missing Cβ is placed. `density` is the map as it is. Sizes are padded
    so that few shapes are compiled.
    """
    main_chains = [np.all(model.mask[:, :CB], axis=1) for model in models]
    atoms = [model.positions[built, :CB].reshape(-1, 3) for model, built in zip(models, main_chains, strict=True)]
    everywhere = np.concatenate([np.zeros((0, 3), np.float32), *atoms])
    if density is None or not len(everywhere):
        density, everywhere = NO_DENSITY, NO_DENSITY.origin[None]
    seen = splined_map(density, everywhere, MARGIN)
    placed = [_place(*_scene(model, built), seen) for model, built in zip(models, main_chains, strict=True)]
    return [
        _model(model.letters, np.asarray(atoms)[: len(model)], built)
        for model, atoms, built in zip(models, placed, main_chains, strict=True)
    ]


def _scene(model: AllAtomModel, built: Bool[np.ndarray, "n"]) -> tuple[Scene, Conformers]:
    """What is built of a model, and its rotamers, padded to a multiple of 128 residues."""
    n, more = len(model), -len(model) % 128
    backbone = np.where(built[:, None, None], model.positions[:, : CB + 1], 0)
    bare = built & ~model.mask[:, CB]
    backbone[bare, CB] = place_beta(jnp.asarray(backbone[bare, :3]))
    atoms = residue_atoms([model.chain("A")])
    phi, psi = np.full((2, n + more), np.nan)
    phi[:n][model.mask.any(axis=1)], psi[:n][model.mask.any(axis=1)] = np.radians(backbone_torsions(atoms)[:, :2]).T
    types = np.array([LETTERS.index(letter) for letter in model.letters + "X" * more], np.int32)
    built = np.pad(built, (0, more))
    letters = "".join(LETTERS[kind] if there else "X" for kind, there in zip(types, built, strict=True))
    rotamers = conformers(letters, phi, psi, PER_RESIDUE * len(letters))
    scene = Scene(
        jnp.asarray(np.pad(backbone, ((0, more), (0, 0), (0, 0))), jnp.float32),
        jnp.asarray(types),
        jnp.asarray(np.where(built[:, None], ATOM_KINDS[types], NOTHING)),
    )
    return scene, rotamers


@jax.jit
def _place(scene: Scene, conformers: Conformers, density: SplinedMap) -> Float[Array, "n 14 3"]:
    rotamers, density = rotamer_costs(scene, conformers, density)
    states = best_states(rotamers.costs, *rotamer_pairs(scene, rotamers))
    rows = jnp.take_along_axis(rotamers.rows, states[:, None], axis=1)
    several = (rotamers.costs[:, 1] < IMPOSSIBLE)[:, None]
    chi, spread = (jnp.where(several, table[rows[:, 0]], 0) for table in (conformers.chi, conformers.spread))
    return relax_torsions(scene, chi, spread, density)


def _model(letters: str, atoms: Float[np.ndarray, "n 14 3"], built: Bool[np.ndarray, "n"]) -> AllAtomModel:
    mask = PRESENT[[LETTERS.index(letter) for letter in letters]] & built[:, None]
    return AllAtomModel(
        letters=letters, positions=np.where(mask[..., None], atoms, np.nan).astype(np.float32), mask=mask
    )
