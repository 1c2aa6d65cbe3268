"""From sources to a training set: examine, exclude relatives and folds, fit, group, split, write (section 2.6.1).

The paper fits last; here a chain is fitted before chains are grouped, so that one that does not fit its map cannot take
the place of one that does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import read_map, write_map
from deepmm_jax.errors import ConfigError, MapError, NothingBuiltError
from deepmm_jax.files import remove_partial
from deepmm_jax.stages import StageRunner, StageStore
from deepmm_jax.training.curation.archive import Archive, MissingEntryError, digest_of
from deepmm_jax.training.curation.candidates import Candidate, chain_of, examine, with_unique_names
from deepmm_jax.training.curation.folds import closest_fold
from deepmm_jax.training.curation.relatives import closest_relatives, representatives
from deepmm_jax.training.curation.settings import CurationSettings
from deepmm_jax.training.curation.sources import Source
from deepmm_jax.training.curation.training_set import PROGRESS, reasons, write_manifest, write_training_set, zoned_file
from deepmm_jax.training.curation.zone import why_not_fit, wrong_resolution, zoned_map


SPOKEN = 100
"""Sources between two words of progress."""


@dataclass(frozen=True, kw_only=True)
class Curator:
    """How a training set is made in the folder `output`; kept results of a run that broke off are used again.

    `excluded` are the letters, by name, of chains whose relatives are left out, `folds` the Cα positions (Å) of those
    whose folds are. `report` is told what happens.
    """

    output: Path
    settings: CurationSettings = CurationSettings()
    archive: Archive | None = None
    excluded: Mapping[str, str]
    folds: Mapping[str, np.ndarray]
    report: Callable[[str], None] = lambda line: None

    @property
    def _keeping(self) -> StageRunner:
        return StageRunner(store=StageStore(self.output / PROGRESS), reuse=True)

    def __call__(self, sources: Sequence[Source]) -> list[Candidate]:
        """Make the set; every chain that was looked at, with its verdict.

        Raises NothingBuiltError, after the manifest is written, if no chain to train on is left, and ArchiveError if an
        archive cannot be reached.
        """
        maps = ("maps",) if any(source.map for source in sources) else ()
        for folder in ("structures", *maps, "secondary_structure", ""):
            (self.output / folder).mkdir(parents=True, exist_ok=True)
            remove_partial(self.output / folder)
        candidates = list(with_unique_names(self._examined(sources)))
        self._say("examined", candidates)
        given = any(source.split for source in sources)
        candidates = [replace(c, split=c.split or "train") for c in candidates]
        own = {c.name: c.letters for c in candidates if c.kept and c.split != "train"}
        candidates = self._without_relatives(candidates, {**self.excluded, **own})
        candidates = self._without_folds(candidates)
        candidates = self._fitted(candidates)
        candidates = _grouped(candidates, self.settings.cluster_identity)
        if not given:
            candidates = _drawn(candidates, self.settings)
            held = {c.name: c.letters for c in candidates if c.kept and c.split == "val"}
            candidates = self._without_relatives(candidates, held)
        self._say("chosen", candidates)
        write_training_set(self.output, candidates, self.settings)
        write_manifest(self.output, candidates)
        if not any(c.kept and c.split == "train" for c in candidates):
            told = ", ".join(f"{kind} {n}" for kind, n in reasons(candidates).items()) or "none was for training"
            raise NothingBuiltError(
                f"no chain to train on is left ({told}); {self.output / 'manifest.csv'} has every reason"
            )
        return candidates

    def _say(self, what: str, candidates: Sequence[Candidate]) -> None:
        self.report(f"{what}: {sum(c.kept for c in candidates)} of {len(candidates)} chains are left")

    def _examined(self, sources: Sequence[Source]) -> list[Candidate]:
        out: list[Candidate] = []
        for number, source in enumerate(sources, start=1):
            out += self._examined_one(source)
            if number % SPOKEN == 0:
                self.report(f"{number} of {len(sources)} structures")
        return out

    def _examined_one(self, source: Source) -> list[Candidate]:
        blank = Candidate(source=source, name=source.name, split=source.split)
        if source.map and source.resolution is not None:
            reason = wrong_resolution(source.resolution, self.settings)
            if reason:
                return [blank.without(reason)]
        try:
            file = self._file(source.structure, source.structure_sha256, "structure")
        except MissingEntryError as error:
            return [blank.without(f"not in the archive: {error}")]
        if source.structure_sha256 and digest_of(file) != source.structure_sha256:
            return [blank.without(f"another file than listed: {file} has another SHA-256")]
        found = self._keeping(f"examine {source.name}".replace(".", "_"), examine, file, source, self.settings)
        return [replace(c, file=file) for c in found]

    def _file(self, value: str, digest: str, kind: str) -> Path:
        if Path(value).is_file():
            return Path(value)
        if self.archive is None:
            raise ConfigError(f"{value} is not a file, and no archive is given to fetch it from")
        return self.archive.structure(value, digest) if kind == "structure" else self.archive.map(value, digest)

    def _without_relatives(self, candidates: Sequence[Candidate], targets: Mapping[str, str]) -> list[Candidate]:
        """Training chains without those that are related to a target."""
        chosen = [i for i, c in enumerate(candidates) if c.kept and c.split == "train"]
        out = list(candidates)
        letters = [out[i].letters for i in chosen]
        for q, (name, shared) in closest_relatives(letters, targets, self.settings.excluded_identity).items():
            i = chosen[q]
            out[i] = out[i].without(f"relative: {100 * shared:.0f} % identical to {name}")
        return out

    def _without_folds(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        out = list(candidates)
        for i, c in enumerate(out if self.folds else ()):
            if c.kept and c.split == "train":
                calpha = chain_of(c, self.settings).calpha
                limit = self.settings.excluded_fold
                name, score = self._keeping(f"fold {c.name}", closest_fold, calpha, dict(self.folds), limit)
                if score > limit:
                    out[i] = c.without(f"same fold: TM-score {score:.2f} to {name}")
        return out

    def _fitted(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        out = list(candidates)
        for i, c in enumerate(out):
            if c.kept and c.source.map:
                out[i] = self._fitted_one(c)
                self.report(f"{c.name}: correlation {out[i].correlation or 0:.3f} at {c.source.resolution:g} Å")
        return out

    def _fitted_one(self, candidate: Candidate) -> Candidate:
        source, target = candidate.source, zoned_file(self.output, candidate.name)
        target.parent.mkdir(exist_ok=True)
        try:
            file = self._file(source.map, source.map_sha256, "map")
        except MissingEntryError as error:
            return candidate.without(f"not in the archive: {error}")
        digest = digest_of(file)
        if source.map_sha256 not in ("", digest):
            return candidate.without(f"another file than listed: {file} has another SHA-256")
        candidate = replace(candidate, source=replace(source, map_sha256=digest))
        stage = f"fit {candidate.name}"
        reason, correlation, written = self._keeping(stage, _fit, file, candidate, str(target), self.settings)
        if not reason and (not target.is_file() or digest_of(target) != written):  # removed, or another run's
            reason, correlation, _ = _fit(file, candidate, str(target), self.settings)
        return replace(candidate, reason=reason, correlation=correlation)


def _fit(file: Path, candidate: Candidate, target: str, settings: CurationSettings) -> tuple[str, float | None, str]:
    """Reason, correlation, and SHA-256 of the zoned map, which is written if the chain fits."""
    chain = chain_of(candidate, settings)
    try:
        density = _map(file)
    except MapError as error:
        return f"unreadable: {error}", None, ""
    try:
        zoned = zoned_map(density, chain, settings.zone)
    except MapError as error:
        return f"no density: {error}", None, ""
    reason, correlation = why_not_fit(zoned, chain, float(candidate.source.resolution or 0), settings)
    if reason:
        return reason, correlation, ""
    write_map(target, zoned)
    return "", correlation, digest_of(Path(target))


@lru_cache(maxsize=1)
def _map(file: Path) -> DensityMap:
    """A map, kept for the other chains in it."""
    return read_map(file)


def _grouped(candidates: Sequence[Candidate], identity: float) -> list[Candidate]:
    """Of the kept chains of each split those that stand for their group; all know the name of their group.

    Chains with and without a map are grouped apart, for maps are rarer.
    """
    out = list(candidates)
    for split, mapped in sorted({(c.split, bool(c.source.map)) for c in candidates}):
        chosen = [i for i, c in enumerate(out) if c.kept and (c.split, bool(c.source.map)) == (split, mapped)]
        for i, first in zip(chosen, representatives([out[i].letters for i in chosen], identity)):
            name = out[chosen[first]].name
            out[i] = replace(out[i], cluster=name, reason="" if name == out[i].name else f"in a group: that of {name}")
    return out


def _drawn(candidates: Sequence[Candidate], settings: CurationSettings) -> list[Candidate]:
    """A share of the kept chains validates: one at least of two or more, chosen by a hash of their names."""

    def lot(i: int) -> str:
        return sha256(f"{settings.seed} {candidates[i].name}".encode()).hexdigest()

    kept = sorted((i for i, c in enumerate(candidates) if c.kept), key=lot)
    count = max(1, round(settings.validation * len(kept))) if settings.validation and len(kept) > 1 else 0
    held = set(kept[:count])
    return [replace(c, split="val") if i in held else c for i, c in enumerate(candidates)]
