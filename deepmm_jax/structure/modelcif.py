"""Models as ModelCIF: coordinates, the whole sequence, and the confidence of every residue (section 2.5, output).

`label_seq_id` is the position in the FASTA and `auth_seq_id` is `Chain.numbers`, residues that are not built stay in
`_entity_poly_seq`, and the confidence is a local `_ma_qa_metric` of type "normalized score" in [0, 1] (not a pLDDT: it
is not an lDDT).
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import modelcif
import modelcif.data
import modelcif.dumper
import modelcif.model
import modelcif.protocol
import modelcif.qa_metric
import numpy as np
from jaxtyping import Float, Int

import deepmm_jax
from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.errors import StructureError
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.write import writing_structure


PROGRAM = modelcif.Software(
    name="DeepMM-JAX",
    classification="model building",
    description="Protein models from cryo-EM density maps",
    location="https://pypi.org/project/deepmm-jax/",
    version=deepmm_jax.__version__,
)

_Step = tuple[type[modelcif.protocol.Step], str, modelcif.Software]


@dataclass(frozen=True, kw_only=True)
class ScoredModel:
    """One model as it is written: chains with a `register`, their confidence, and the scores of the whole model.

    `confidence` holds, chain by chain, a number in [0, 1] per residue (NaN is left out); without it none is written.
    `scores` are global quality metrics by name, such as {"MScore": 1.2}.
    """

    chains: tuple[Chain, ...]
    confidence: tuple[Float[np.ndarray, "_"], ...] | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    name: str = "model"


def write_modelcif(
    path: Path | str,
    models: Sequence[ScoredModel],
    title: str,
    map_name: str | None = None,
    *,
    starting_model: str | None = None,
    openmm: str | None = None,
) -> None:
    """Write models, best first, into one ModelCIF file.

    `map_name` says which density map they were built into, `starting_model` which model they were refined from, and
    `openmm` which version of OpenMM minimised them; the protocol has a step for each stage, that of side chains where a
    model has any. All models have the chains of the first, by name and whole sequence. The B column is
    `Chain.b_factors` as given. The file appears whole or not at all. Raises StructureError if there is no model, the
    chains differ, a position is not finite, or the file cannot be written.
    """
    path = Path(path)
    if not models:
        raise StructureError(f"There is no model to write into {path}; give at least one.")
    asym_units = _asym_units(models)
    metrics = _metric_classes(models)
    assembly = modelcif.Assembly(list(asym_units.values()), name="Complete assembly")
    written = [_CoordinateModel(assembly, model, asym_units, metrics) for model in models]
    building, refining = modelcif.protocol.ModelingStep, modelcif.protocol.ModelRefinementStep
    steps: list[_Step] = []
    if starting_model is None:
        steps.append((building, "De novo model building: C-alpha", PROGRAM))
    else:
        for model in written:
            model.model_type = "Other"
            model.other_details = "Refined from a given model"  # type: ignore[assignment]
    if any({*chain.atom_names} - {"CA"} for model in models for chain in model.chains):
        steps.append((building, "Backbone and side chains in the density", PROGRAM))
    if openmm is not None:
        steps.append((refining, "Energy minimisation in the density", _openmm(openmm)))
    named = {map_name: "Cryo-EM density map", starting_model: "Starting model"}
    sources: list = [modelcif.data.Data(name=name, details=what) for name, what in named.items() if name is not None]
    sources += dict.fromkeys(asym.entity for asym in asym_units.values())

    system = modelcif.System(title=title, id=path.name.split(".")[0])
    system.model_groups.append(modelcif.model.ModelGroup(written, name="All models"))
    system.protocols.append(_protocol(steps, sources, written))
    with writing_structure(path) as partial, partial.open("w", encoding="ascii", errors="backslashreplace") as handle:
        modelcif.dumper.write(handle, [system])


def whole_sequence(chain: Chain) -> str:
    """The whole sequence of a chain where it is known, else that of its built residues."""
    return chain.sequence if chain.full_sequence is None else chain.full_sequence


def sequence_positions(chain: Chain) -> Int[np.ndarray, "n_residues"]:
    """Position of every built residue in the whole sequence, counted from 1 (`label_seq_id`)."""
    return 1 + (np.arange(len(chain), dtype=np.int32) if chain.register is None else chain.register)


def _asym_units(models: Sequence[ScoredModel]) -> dict[str, modelcif.AsymUnit]:
    """One asymmetric unit per chain name; chains of the same sequence share an entity."""
    entities: dict[str, modelcif.Entity] = {}
    units: dict[str, modelcif.AsymUnit] = {}
    numbers = _numbers(chain for model in models for chain in model.chains)
    for chain in models[0].chains:
        sequence = whole_sequence(chain)
        if chain.name in units:
            raise StructureError(f"Two chains are named {chain.name}; give every chain of a model its own name.")
        if sequence not in entities:
            codes = [letter if letter in AMINO_ACIDS else "UNK" for letter in sequence]
            entities[sequence] = modelcif.Entity(codes, description=f"Protein {len(entities) + 1}")
        units[chain.name] = modelcif.AsymUnit(
            entities[sequence],
            id=chain.name,
            details=f"Chain {chain.name}",
            auth_seq_id_map=numbers[chain.name],  # type: ignore[arg-type]
        )
    return units


def _numbers(chains: Iterable[Chain]) -> dict[str, dict[int, tuple[int, str | None]]]:
    """Number and insertion code by chain name and position, those of the first model that has the residue built."""
    numbers: dict[str, dict[int, tuple[int, str | None]]] = {}
    for chain in chains:
        known = numbers.setdefault(chain.name, {})
        labels = zip(chain.numbers.tolist(), (code or None for code in chain.insertion_codes), strict=True)
        for position, label in zip(sequence_positions(chain).tolist(), labels, strict=True):
            known.setdefault(position, label)
    return numbers


def _openmm(version: str) -> modelcif.Software:
    return modelcif.Software(
        name="OpenMM",
        classification="refinement",
        description="Molecular mechanics",
        location="https://openmm.org",
        version=version,
    )


def _protocol(steps: Sequence[_Step], sources: Sequence, written: Sequence) -> modelcif.protocol.Protocol:
    """The steps in a row: each takes the sources and what the one before it made, the last makes what is written."""
    protocol = modelcif.protocol.Protocol()
    made: list = []
    for number, (kind, name, software) in enumerate(steps, start=1):
        given = modelcif.data.DataGroup([*sources, *made])
        made = [*written] if number == len(steps) else [modelcif.data.Data(name=f"Models after step {number}")]
        output = modelcif.data.DataGroup(made)
        protocol.steps.append(kind(input_data=given, output_data=output, name=name, software=software))
    return protocol


def _metric_classes(models: Sequence[ScoredModel]) -> dict[str, type]:
    """A metric class for the confidence and for every score, as python-modelcif wants them, by name."""
    metric = modelcif.qa_metric
    about = {"name": "confidence", "software": PROGRAM, "description": "Confidence of the residue from 0 to 1"}
    classes: dict[str, type] = {"confidence": type("Confidence", (metric.Local, metric.NormalizedScore), about)}
    for name in dict.fromkeys(name for model in models for name in model.scores):
        about = {"name": name, "software": PROGRAM, "description": f"{name} of the model", "other_details": name}
        classes[name] = type("Score", (metric.Global, metric.MetricType), about)
    return classes


class _CoordinateModel(modelcif.model.AbInitioModel):
    """A model whose atoms are handed out from the chain arrays while the file is written."""

    def __init__(
        self,
        assembly: modelcif.Assembly,
        model: ScoredModel,
        asym_units: Mapping[str, modelcif.AsymUnit],
        metrics: Mapping[str, type],
    ):
        super().__init__(assembly, name=model.name)
        names = [chain.name for chain in model.chains]
        if names != list(asym_units):
            raise StructureError(
                f"{model.name} has chains {names}, the first model {list(asym_units)}; they must agree."
            )
        self.parts = [(asym_units[chain.name], chain, sequence_positions(chain).tolist()) for chain in model.chains]
        for unit, chain, positions in self.parts:
            length = unit.seq_id_range[1]
            inside = all(1 <= position <= length for position in positions)
            if not np.isfinite(chain.positions).all():
                raise StructureError(f"Chain {chain.name} of {model.name} has a position that is no number.")
            if length != len(whole_sequence(chain)) or not inside:
                raise StructureError(
                    f"Chain {chain.name} of {model.name} does not fit the sequence of the first model."
                )
            self.not_modeled_residue_ranges += [
                modelcif.model.NotModeledResidueRange(unit, begin, end) for begin, end in _gaps(positions, length)
            ]
        self.qa_metrics += [metrics[name](value) for name, value in model.scores.items()]
        for (unit, _, positions), values in zip(self.parts, model.confidence or ()):
            self.qa_metrics += [
                metrics["confidence"](unit.residue(position), round(value, 4))
                for position, value in zip(positions, values.tolist(), strict=True)
                if np.isfinite(value)
            ]

    def get_atoms(self) -> Generator[modelcif.model.Atom]:
        """Every atom, chain by chain, in the order of the arrays."""
        for unit, chain, positions in self.parts:
            rows = zip(
                chain.residue_of_atom.tolist(),
                chain.atom_names,
                chain.elements,
                chain.positions.astype(float).round(3).tolist(),
                chain.b_factors.astype(float).round(2).tolist(),
                strict=True,
            )
            for residue, name, element, (x, y, z), b_factor in rows:
                yield modelcif.model.Atom(unit, positions[residue], name, element, x, y, z, False, b_factor, 1.0)


def _gaps(positions: Sequence[int], length: int) -> list[tuple[int, int]]:
    """First and last of every run of positions 1 … length that is not in the sorted `positions`."""
    edges = [0, *positions, length + 1]
    return [(before + 1, after - 1) for before, after in pairwise(edges) if after - before > 1]
