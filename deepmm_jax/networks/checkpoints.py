"""Checkpoints: trained weights as a float16 Orbax tree beside a `card.json` that says what they are."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from deepmm_jax.config import replace_fields
from deepmm_jax.devices import is_first
from deepmm_jax.errors import CheckpointError, ConfigError
from deepmm_jax.files import atomic_path


T = TypeVar("T")


def find_checkpoint(name_or_directory: str | Path) -> Path:
    """Folder of a checkpoint: a shipped one by its name alone, or a folder (`./NAME` where it has a shipped name).

    Shipped checkpoints lie inside the installed package, or in `checkpoints/` of the repository.
    Raises CheckpointError with the names that exist.
    """
    given = Path(name_or_directory)
    package = Path(str(files("deepmm_jax")))
    shipped = [package / "checkpoints", package.parent / "checkpoints"]
    if given.name == str(name_or_directory):
        for folder in shipped:
            if (folder / given / "card.json").is_file():
                return folder / given
    if (given / "card.json").is_file():
        return given.resolve()
    names = sorted({card.parent.name for folder in shipped for card in folder.glob("*/card.json")})
    raise CheckpointError(
        f"checkpoint {str(name_or_directory)!r} has no card.json: give a folder made by `deepmm-jax train` "
        f"or one of the shipped names ({', '.join(names) or 'none found'})"
    )


def read_card(name_or_directory: str | Path) -> dict[str, Any]:
    """The `card.json` of a checkpoint: network, training data, steps, figures."""
    path = find_checkpoint(name_or_directory) / "card.json"
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError) as error:  # ValueError: neither UTF-8 nor JSON
        raise CheckpointError(f"{path} cannot be read ({error}); fetch or train the checkpoint again") from error
    if not isinstance(card, dict):
        raise CheckpointError(f"{path} holds a {type(card).__name__}, not a table; fetch or train the checkpoint again")
    return card


def read_sizes(checkpoint: str | Path, kind: str, default: T, instead: str) -> T:
    """Sizes of a checkpoint's network, `default` with what its card says of them.

    Raises CheckpointError, also for a network of another kind; `instead` says what to give for one of this kind.
    """
    card = read_card(checkpoint)
    if card.get("kind") != kind:
        raise CheckpointError(
            f"checkpoint {str(checkpoint)!r} holds a {card.get('kind')!r} network, not a {kind} one; give {instead}"
        )
    try:
        return replace_fields(default, card["network"], "network")
    except (KeyError, AttributeError, ConfigError) as error:
        raise CheckpointError(
            f"card.json of checkpoint {str(checkpoint)!r} does not give the network's sizes ({error!r}); "
            "fetch or train it again"
        ) from error


def save_checkpoint(directory: Path, params: Mapping[str, Any], card: Mapping[str, Any]) -> None:
    """Write weights (nested dict of arrays) as float16 and `card` as card.json into `directory` (replaced).

    Several processes call it as they call `save_tree`; the card is that of the first.
    """
    directory.mkdir(parents=True, exist_ok=True)
    half = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float16), dict(params))
    weights = directory.resolve() / "weights"
    save_tree(weights, half)
    if is_first():
        # Orbax writes the absolute path of the folder into this marker, which no reader looks at.
        (weights / "commit_success.txt").write_text("committed\n")
        write_card(directory, card)


def write_card(directory: Path, card: Mapping[str, Any]) -> None:
    """`card.json` of a checkpoint, all or nothing."""
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    with atomic_path(directory / "card.json") as partial:
        partial.write_text(text, encoding="utf-8")


def load_checkpoint(name_or_directory: str | Path, like: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights as float32 and the card.

    `like` is a nested dict of arrays (or ShapeDtypeStructs) with the shapes the network expects;
    other shapes or missing leaves raise CheckpointError, never a silent padding.
    """
    directory = find_checkpoint(name_or_directory)
    card = read_card(directory)
    half = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.float16), dict(like))
    weights = load_tree(directory / "weights", half)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), weights), card


def save_tree(path: Path, tree: Mapping[str, Any]) -> None:
    """Write a nested dict of arrays to the folder `path` with Orbax, all or nothing.

    Of several processes all call this, with the same path and the same arrays, and the first writes.
    """
    from orbax.checkpoint import v1 as ocp  # imported late: it takes 1.6 s

    if jax.process_count() > 1:  # Orbax would look for the other processes' part of JAX's arrays
        tree = jax.tree.map(np.asarray, dict(tree))
    ocp.save(str(path.resolve()), tree, overwrite=True)


def load_tree(path: Path, like: Mapping[str, Any]) -> dict[str, Any]:
    """A nested dict of arrays that Orbax wrote to `path`, with the shapes and types of `like`.

    Raises CheckpointError if it is damaged or holds other names or shapes.
    """
    from orbax.checkpoint import v1 as ocp

    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), dict(like))
    try:
        # Compared first, because a load that fails half-way leaves reads behind that complain on exit.
        stored, expected = _shapes(ocp.metadata(str(path.resolve())).metadata), _shapes(abstract)
        odd = sorted(name for name in stored | expected if stored.get(name) != expected.get(name))
        if odd:
            raise ValueError(f"{odd[0]} has shape {stored.get(odd[0])}, not {expected.get(odd[0])}")
        return ocp.load(str(path.resolve()), abstract)
    except Exception as error:  # Orbax raises many kinds; all mean the same to the user
        reason = str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__
        raise CheckpointError(
            f"{path} is damaged or belongs to another network ({reason}); fetch or train it again"
        ) from error


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in leaves}
