"""`deepmm-jax demo`: the example protein, simulated, built and compared with its crystal structure."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer


AT_LEAST = {"coverage": 0.99, "sequence_match": 0.95, "cc_mask": 0.8}
AT_MOST = {
    **{"ca_rmsd": 1.0, "backbone_rmsd": 0.55, "all_atom_rmsd": 1.3},
    **{"ramachandran_outliers": 0.01, "rotamer_outliers": 0.05, "d_residues": 0, "twisted_peptides": 0},
    "incomplete_residues": 0,
}
"""What the model of the example reaches with room to spare, wherever the program works as it should."""


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder; an earlier run's results are replaced.")
    ] = Path("demo"),
) -> None:
    """Build adenylate kinase (1AKE chain A) into a map simulated at 5 Å and compare it with the crystal.

    Ends with exit code 1 if the model is worse than it must be: then something computes wrong numbers here.
    """
    from deepmm_jax.assessment.report import evaluate_model
    from deepmm_jax.config import build_config
    from deepmm_jax.density.mrc import write_map
    from deepmm_jax.density.simulate import simulate_map
    from deepmm_jax.errors import ConfigError
    from deepmm_jax.files import example_path
    from deepmm_jax.structure.read import read_chains
    from deepmm_jax_cli.build import build_into
    from deepmm_jax_cli.console import ending_at_signals, following
    from deepmm_jax_cli.folder import check_directory, holds_run, open_log, prepare_directory, writing
    from deepmm_jax_cli.inputs import read_inputs

    started = time.perf_counter()
    structure, fasta = example_path("1ake_A.pdb.gz"), example_path("1ake_A.fasta")
    (crystal,) = read_chains(structure)
    with writing(output):
        check_directory(output, resume=False, overwrite=True)
        if output.is_dir() and any(output.iterdir()) and not holds_run(output):
            raise ConfigError(f"--output {output} holds other files; give another folder")
        with open_log(output, resume=False) as log:
            prepare_directory(output, resume=False)
            write_map(output / "map.mrc", simulate_map(crystal.positions, crystal.atomic_numbers, 5.0))
            inputs = read_inputs(output / "map.mrc", fasta, "predict", resolution=5.0)
            settings = build_config("simulated")
            with (
                following(log, quiet=False) as progress,
                ending_at_signals(lambda: "run the command again", progress),
            ):
                summary = build_into(output, inputs, settings, seed=0, resume=False, progress=progress)
    figures = evaluate_model(read_chains(output / "model.cif"), [crystal])
    typer.echo("")
    typer.echo(f"1AKE chain A at 5 Å against the crystal structure ({figures['n_reference']} residues)")
    typer.echo(
        f"  Cα RMSD         {figures['ca_rmsd']:.2f} Å in place, {figures['ca_rmsd_superposed']:.2f} Å superposed"
    )
    if figures["all_atom_rmsd"] is not None:
        typer.echo(f"  all atoms       {figures['all_atom_rmsd']:.2f} Å, backbone {figures['backbone_rmsd']:.2f} Å")
    typer.echo(f"  TM-score        {figures['tm_score']:.3f}")
    typer.echo(f"  coverage        {figures['coverage']:.1%}")
    typer.echo(f"  residue match   {figures['residue_match']:.1%}")
    typer.echo(f"  sequence match  {figures['sequence_match']:.1%}")
    geometry = summary["geometry"]
    for name, label in (("ramachandran_outliers", "Ramachandran"), ("rotamer_outliers", "rotamers")):
        if geometry[name] is not None:
            typer.echo(f"  {label:<14}  {geometry[name]:.1%} outliers")
    if geometry["clashscore"] is not None:
        typer.echo(f"  clashscore      {geometry['clashscore']:.1f}")
    typer.echo("  seconds         " + ", ".join(f"{stage} {s:.1f}" for stage, s in progress.seconds.items()))
    typer.echo(f"  in all          {time.perf_counter() - started:.0f} s")
    typer.echo(f"Output: {output.resolve()} (open view.cxc in ChimeraX)")
    wrong = shortcomings(figures | geometry | {"cc_mask": summary["cc_mask"]})
    if wrong:
        typer.echo(
            f"deepmm-jax: the model of the example is not what it must be ({'; '.join(wrong)}): something computes "
            "wrong numbers here. Install anew in an empty environment; if that does not help, please report it",
            err=True,
        )
        raise typer.Exit(1)


def shortcomings(figures: Mapping[str, Any]) -> list[str]:
    """The figures that miss their limit, each with it; one that could not be measured misses it too."""
    said = []
    for limits, sign, words in ((AT_LEAST, 1, "at least"), (AT_MOST, -1, "at most")):
        for name, limit in limits.items():
            value = figures[name]
            if value is None or sign * (value - limit) < 0:
                found = "unknown" if value is None else f"{value:.3g}"
                said.append(f"{name.replace('_', ' ')} {found}, {words} {limit}")
    return said
