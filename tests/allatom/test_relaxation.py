"""Contacts of the backbone against a plain sum over pairs."""

from itertools import combinations, product

import jax
import jax.numpy as jnp
import numpy as np

from deepmm_jax.allatom.relaxation import CB, CONTACT_WIDTH, CONTACTS, Backbone, contact_energy


def summed(atoms: np.ndarray, glycine: np.ndarray) -> float:
    """Half of the squared overlaps, every pair once; residues next to each other and missing Cβ do not count."""
    total = 0.0
    for i, j in combinations(range(len(atoms)), 2):
        for a, b in product(range(5), repeat=2):
            missing = (glycine[i] and a == CB) or (glycine[j] and b == CB)
            if j - i > 1 and not missing:
                overlap = max(0.0, CONTACTS[a, b] - np.linalg.norm(atoms[i, a] - atoms[j, b])) / CONTACT_WIDTH
                total += overlap**2 / 2
    return total


def test_contacts_and_their_gradient_are_those_of_the_sum(rng: np.random.Generator):
    atoms = rng.uniform(0, 6, size=(7, 5, 3))
    glycine = np.array([False, True, False, False, True, False, False])
    everywhere = jnp.ones(7, bool)
    partners = jnp.array([[j if abs(i - j) > 1 else -1 for j in range(7)] for i in range(7)])
    chain = Backbone(jnp.asarray(atoms[:, 1]), *[everywhere] * 5, jnp.asarray(glycine), partners)
    energy, gradient = jax.value_and_grad(contact_energy)(jnp.asarray(atoms, jnp.float32), chain)
    np.testing.assert_allclose(energy, summed(atoms, glycine), rtol=1e-5)
    step = 1e-6 * np.eye(atoms.size).reshape(-1, *atoms.shape)
    expected = [(summed(atoms + d, glycine) - summed(atoms - d, glycine)) / 2e-6 for d in step]
    np.testing.assert_allclose(gradient.ravel(), expected, rtol=1e-3, atol=0.1)
