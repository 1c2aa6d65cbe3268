"""`report.html`: what a run built and how far to believe it, on one page that needs nothing else."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from deepmm_jax.files import atomic_path
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.modelcif import ScoredModel
from deepmm_jax_cli.outputs import residue_confidences


ROW = 50
"""Residues in a line."""
COLOURS = np.array([[215, 48, 39], [254, 224, 144], [69, 117, 180]], float)
"""Of confidence 0, 0.5 and 1, as in `view.cxc`."""
STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.15rem 1rem .15rem 0;border-bottom:1px solid #ddd}"
    "pre{line-height:1.6}pre span{padding:.1rem 0}.out{color:#999;text-decoration:line-through}"
)
GEOMETRY = (
    ("ramachandran_favoured", "Ramachandran favoured", "{:.1%}"),
    ("ramachandran_outliers", "Ramachandran outliers", "{:.1%}"),
    ("rotamer_outliers", "Rotamer outliers", "{:.1%}"),
    ("clashscore", "Clashscore", "{:.1f}"),
)


def write_report(
    output: Path, summary: dict[str, Any], profiles: Sequence[SequenceProfile], best: ScoredModel | None
) -> None:
    """Write `report.html` from what goes into summary.json and, where a model was built, the best one."""
    title = f"Model of {', '.join(profile.name for profile in profiles)}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        *_warnings(summary["warnings"]),
        "<h2>Figures</h2>",
        _table(_figures(summary)),
    ]
    if best is not None:
        parts += ["<h2>Confidence</h2>", _legend()]
        parts += [line for chain in _chains(profiles, best) for line in chain]
        parts += ["<h2>Models</h2>", *_models(summary)]
    else:
        parts.append("<p>The run ended with the evidence, in <code>maps/</code>.</p>")
    seconds = [(stage, f"{value:.1f} s") for stage, value in summary["timings_seconds"].items()]
    parts += ["<h2>Run</h2>", _table([*_run(summary), *seconds])]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    page = ["<!doctype html>", f'<html lang="en"><head>{head}</head><body>', *parts, "</body></html>", ""]
    with atomic_path(output / "report.html") as partial:
        partial.write_text("\n".join(page), encoding="utf-8")


def colour(confidence: float) -> str:
    """Colour of a confidence from 0 to 1, as `#rrggbb`: red, yellow, blue."""
    return "#" + "".join(f"{round(np.interp(confidence, [0, 0.5, 1], channel)):02x}" for channel in COLOURS.T)


def _warnings(warnings: Sequence[str]) -> Iterator[str]:
    if warnings:
        yield "<h2>Warnings</h2>"
        yield f"<ul>{''.join(f'<li>{escape(warning)}</li>' for warning in warnings)}</ul>"


def _figures(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the run came to."""
    if "n_built" not in summary:
        yield "Residues of the sequence", str(summary["n_residues"])
        return
    yield "Residues built", f"{summary['n_built']} of {summary['n_residues']}"
    yield "Expected to be right (within 2 Å, type right)", f"{summary['confidence']:.0%} of the sequence"
    yield "MScore", f"{summary['mscore']:.2f} (expected TM-score: {summary['refitted_tm_score']:.2f})"
    fit = f"not measured: {summary['cc_mask_reason']}" if summary["cc_mask"] is None else f"{summary['cc_mask']:.2f}"
    yield "Map correlation (CC_mask)", fit
    for key, name, form in GEOMETRY:
        value = summary["geometry"].get(key)
        if value is not None:
            yield name, form.format(value)


def _legend() -> str:
    steps = "".join(
        f'<span style="background:{colour(value)}">&nbsp;{value:.1f}&nbsp;</span>' for value in np.linspace(0, 1, 11)
    )
    return (
        f"<pre>{steps}</pre><p>The probability that a residue's Cα is within 2 Å of the truth and its type right. "
        "Struck-out residues are not built. Point at a residue for its number.</p>"
    )


def _chains(profiles: Sequence[SequenceProfile], best: ScoredModel) -> Iterator[list[str]]:
    """The sequence of each chain, a colour a residue."""
    for name, profile, values in residue_confidences(profiles, best):
        lines = []
        for start in range(0, len(profile), ROW):
            letters = []
            for place in range(start, min(start + ROW, len(profile))):
                letter = escape(profile.letters[place])
                if np.isnan(values[place]):
                    letters.append(f'<span class="out" title="{letter} {place + 1}">{letter}</span>')
                else:
                    shown = f'title="{letter} {place + 1}: {values[place]:.2f}"'
                    letters.append(f'<span style="background:{colour(values[place])}" {shown}>{letter}</span>')
            lines.append(f"{start + 1:5d} {''.join(letters)}")
        yield [f"<h3>Chain {name}: {escape(profile.name)}</h3>", "<pre>", *lines, "</pre>"]


def _models(summary: dict[str, Any]) -> Iterator[str]:
    """Tables of the ranked models of each chain."""
    for chain in summary["chains"]:
        rows = [
            f"<tr><td>{m['rank']}</td><td>{m['n_built']}</td><td>{m['score']:.1f}</td><td>{m['mscore']:.2f}</td></tr>"
            for m in chain["models"]
        ]
        heads = "".join(f"<th>{head}</th>" for head in ("rank", "built", "score", "MScore"))
        yield f"<p>Chain {chain['chain']}</p><table><tr>{heads}</tr>{''.join(rows)}</table>"
    yield "<p>Open <code>view.cxc</code> in ChimeraX to see the best one in the map.</p>"


def _run(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where it came from."""
    for kind, file in summary["input"].items():
        yield kind.replace("_", " "), f"{file['path']} (sha256 {file['sha256'][:12]}…)"
    yield "resolution", "not given" if summary["resolution"] is None else f"{summary['resolution']:g} Å"
    yield "network", summary["network"]
    yield "program", f"deepmm-jax {summary['versions']['deepmm-jax']} on {summary['device']}, seed {summary['seed']}"
    yield "peak memory", f"{summary['peak_memory_mb']:.0f} MB"


def _table(rows: Any) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"
