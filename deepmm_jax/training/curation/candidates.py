"""Chains on their way into a training set: what is known of each, and why it is left out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from deepmm_jax.errors import StructureError
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.secondary_structure import assign_secondary_structure
from deepmm_jax.training.curation.filters import read_entry, why_not_chain, why_not_entry
from deepmm_jax.training.curation.pieces import longest_piece
from deepmm_jax.training.curation.settings import CurationSettings
from deepmm_jax.training.curation.sources import Source


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A chain, or a file that could not be read; kept as long as `reason` is "".

    `letters` are the residues seen, `sequence` those of the whole chain where the file tells them; `states` is the
    secondary structure (H, E, C) of `sequence`, `-` where nothing was seen. `cluster` names the chain that stands for
    the chains like it. `correlation` is that with the zoned map.
    """

    source: Source
    name: str
    file: Path | None = None
    chain: str = ""
    letters: str = ""
    sequence: str = ""
    states: str = ""
    reason: str = ""
    split: str = ""
    cluster: str = ""
    correlation: float | None = None

    @property
    def kept(self) -> bool:
        """Whether nothing speaks against it so far."""
        return not self.reason

    def without(self, reason: str) -> "Candidate":
        """The same, left out for a reason."""
        return replace(self, reason=reason)


def examine(file: Path, source: Source, settings: CurationSettings) -> list[Candidate]:
    """The chains of a structure file, or the wanted one, each with the filters' verdict.

    A chain is named after its source, with its own name behind that where the file has several and none was asked for.
    Of chains of one sequence that pass the first is kept: in a map the others look the same.
    """
    blank = Candidate(source=source, name=safe_name(source.name), file=file, split=source.split)
    try:
        entry = read_entry(file)
    except StructureError as error:
        return [blank.without(f"unreadable: {error}")]
    chains = [chain for chain in entry.chains if source.chain in ("", chain.name)]
    if not chains:
        return [replace(blank, chain=source.chain, reason=f"no such chain: {source.chain}")]
    of_entry = why_not_entry(entry, settings)
    named = len(chains) > 1 and not source.chain
    out: list[Candidate] = []
    first: dict[str, str] = {}
    for whole in chains:
        chain = longest_piece(whole) if settings.unbroken else whole
        reason = of_entry or why_not_chain(chain, settings)
        digest = sha256(chain.sequence.encode()).hexdigest()
        if not reason and source.letters_sha256 not in ("", digest):
            reason = "other letters than listed"
        if not reason and chain.sequence in first:
            reason = f"copy: chain {first[chain.sequence]} of this entry"
        if not reason:
            first[chain.sequence] = chain.name
        sequence, states = ("", "") if reason else whole_states(chain)
        name = safe_name(f"{source.name}_{chain.name}") if named else blank.name
        found = {"chain": chain.name, "letters": chain.sequence, "sequence": sequence, "states": states}
        out.append(replace(blank, name=name, reason=reason, **found))
    return out


def whole_states(chain: Chain) -> tuple[str, str]:
    """The whole sequence of a chain and the secondary structure of every residue of it, `-` where it was not seen."""
    states = assign_secondary_structure(chain)
    if chain.full_sequence is None or chain.register is None:
        return chain.sequence, states
    whole = ["-"] * len(chain.full_sequence)
    for place, state in zip(chain.register.tolist(), states, strict=True):
        whole[place] = state
    return chain.full_sequence, "".join(whole)


def with_unique_names(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """All but the first of the kept ones that share a name are left out."""
    seen: dict[str, Path | None] = {}
    for candidate in candidates:
        if candidate.kept and candidate.name.lower() in seen:
            yield candidate.without(f"same name: {seen[candidate.name.lower()]}")
            continue
        if candidate.kept:
            seen[candidate.name.lower()] = candidate.file
        yield candidate


def chain_of(candidate: Candidate, settings: CurationSettings) -> Chain:
    """The chain with its atoms, or its longest piece, read again from its file."""
    chain = next(chain for chain in read_chains(candidate.file or "") if chain.name == candidate.chain)
    return longest_piece(chain) if settings.unbroken else chain


def safe_name(name: str) -> str:
    """A name that is one file name everywhere."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in name)
