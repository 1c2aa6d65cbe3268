"""One state for every residue so that all of them cost least together: belief propagation, then descent."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


IMPOSSIBLE = 1e4
"""Cost of a state that a residue does not have."""
PASSES, DAMPING = 40, 0.5
"""Messages are sent so often, and keep this share of what they were."""
DESCENTS = 20
"""At most so many times residues change their state for the better."""


def best_states(
    costs: Float[Array, "n r"], edges: Int[Array, "e 2"], pair_costs: Float[Array, "e r r"]
) -> Int[Array, "n"]:
    """States of n residues whose costs, with those of the pairs on the edges, are low in sum.

    Min-sum belief propagation, exact on trees. On graphs with cycles the best states that its beliefs ever name are
    kept, and improved as long as one residue alone can.
    """
    n = len(costs)
    one, other = edges.T

    def incoming(to_one: Array, to_other: Array) -> Array:
        return costs + jax.ops.segment_sum(to_one, one, n) + jax.ops.segment_sum(to_other, other, n)

    def send(state: tuple, _: None) -> tuple[tuple, None]:
        to_one, to_other, best, lowest = state
        beliefs = incoming(to_one, to_other)
        forth = ((beliefs[one] - to_one)[:, :, None] + pair_costs).min(axis=1)
        back = ((beliefs[other] - to_other)[:, None, :] + pair_costs).min(axis=2)
        to_other = DAMPING * to_other + (1 - DAMPING) * (forth - forth.min(axis=1, keepdims=True))
        to_one = DAMPING * to_one + (1 - DAMPING) * (back - back.min(axis=1, keepdims=True))
        states = incoming(to_one, to_other).argmin(axis=1)
        total = total_cost(states, costs, edges, pair_costs)
        better = total < lowest
        return (to_one, to_other, jnp.where(better, states, best), jnp.where(better, total, lowest)), None

    silence = jnp.zeros((len(edges), costs.shape[1]))
    alone = costs.argmin(axis=1)
    start = silence, silence, alone, total_cost(alone, costs, edges, pair_costs)
    (_, _, best, _), _ = lax.scan(send, start, None, length=PASSES)
    return descend(best, costs, edges, pair_costs)


def total_cost(
    states: Int[Array, "n"], costs: Float[Array, "n r"], edges: Int[Array, "e 2"], pair_costs: Float[Array, "e r r"]
) -> Float[Array, ""]:
    """The sum that is to be low."""
    own = jnp.take_along_axis(costs, states[:, None], axis=1).sum()
    return own + pair_costs[jnp.arange(len(edges)), states[edges[:, 0]], states[edges[:, 1]]].sum()


def descend(
    states: Int[Array, "n"], costs: Float[Array, "n r"], edges: Int[Array, "e 2"], pair_costs: Float[Array, "e r r"]
) -> Int[Array, "n"]:
    """States after residues that gain more by changing alone than their neighbours would have changed, repeatedly."""
    n = len(costs)
    one, other = edges.T
    each = jnp.arange(len(edges))

    def change(states: Array, _: None) -> tuple[Array, None]:
        now = costs + jax.ops.segment_sum(pair_costs[each, :, states[other]], one, n)
        now += jax.ops.segment_sum(pair_costs[each, states[one]], other, n)
        gain = jnp.take_along_axis(now, states[:, None], axis=1)[:, 0] - now.min(axis=1)
        there = one != other
        rival = jnp.maximum(
            jax.ops.segment_max(jnp.where(there, gain[other], 0), one, n),
            jax.ops.segment_max(jnp.where(there, gain[one], 0), other, n),
        )
        return jnp.where(gain > jnp.maximum(rival, 1e-4), now.argmin(axis=1), states), None

    return lax.scan(change, states, None, length=DESCENTS)[0]
