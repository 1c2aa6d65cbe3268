"""The page that says what a run built."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.modelcif import ScoredModel
from deepmm_jax.structure.write import calpha_chain
from deepmm_jax_cli.report import colour, write_report


class Page(HTMLParser):
    """Text, titles of places, and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text, self.titles = "", {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        found = dict(attrs)
        if "title" in found:
            self.titles[found["title"]] = found

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(folder: Path) -> Page:
    page = Page()
    page.feed((folder / "report.html").read_text(encoding="utf-8"))
    page.close()
    assert not page.open
    return page


@pytest.fixture
def summary() -> dict[str, Any]:
    return {
        "n_residues": 4,
        "warnings": ["the map <b> & the sequence"],
        "resolution": None,
        "network": "experimental",
        "timings_seconds": {"evidence": 1.25},
        "input": {"map": {"path": "a&b.mrc", "sha256": "0" * 64}},
        "versions": {"deepmm-jax": "0.1.0"},
        "device": "cpu",
        "seed": 3,
        "peak_memory_mb": 512.0,
        "cc_mask": None,
        "cc_mask_reason": "no --resolution was given",
    }


def test_page_shows_figures_warnings_and_the_confidence_of_every_residue(tmp_path: Path, summary: dict[str, Any]):
    profile = SequenceProfile(name="x<y", letters="MKVL", secondary_structure=np.zeros((4, 3)))
    positions = np.array([[0.0, 0, 0], [3.8, 0, 0], [np.nan] * 3, [11.4, 0, 0]])
    confidence = np.array([0.9, 0.5, 0.0, 0.1])
    chain = calpha_chain("A", profile.letters, positions, confidence)
    best = ScoredModel(chains=(chain,), confidence=(confidence[[0, 1, 3]],), scores={"MScore": 1.0}, name="rank 1")
    models = [{"rank": 1, "n_built": 3, "score": 12.5, "mscore": 1.0}]
    summary |= {
        "n_built": 3,
        "confidence": 0.375,
        "mscore": 1.0,
        "refitted_tm_score": 0.87,
        "geometry": {"ramachandran_outliers": 0.01, "clashscore": None},
        "chains": [{"chain": "A", "models": models}],
    }
    write_report(tmp_path, summary, [profile], best)
    page = read(tmp_path)
    assert page.titles["K 2: 0.50"]["style"] == f"background:{colour(0.5)}"
    assert page.titles["V 3"]["class"] == "out" and len(page.titles) == 4
    for text in (
        "x<y",
        "the map <b> & the sequence",
        "3 of 4",
        "0.87",
        "38%",
        "1.0%",
        "a&b.mrc",
        "no --resolution was given",
    ):
        assert text in page.text, text
    assert "Clashscore" not in page.text


def test_page_of_a_run_that_ended_with_the_evidence(tmp_path: Path, summary: dict[str, Any]):
    profile = SequenceProfile(name="x", letters="MKVL", secondary_structure=np.zeros((4, 3)))
    write_report(tmp_path, summary, [profile], None)
    page = read(tmp_path)
    assert "ended with the evidence" in page.text and "1.2 s" in page.text and not page.titles


def test_colours_go_from_red_to_yellow_to_blue():
    red, yellow, blue = (tuple(int(colour(value)[i : i + 2], 16) for i in (1, 3, 5)) for value in (0.0, 0.5, 1.0))
    assert red[0] > 2 * red[2] and min(yellow[:2]) > 200 and blue[2] > 2 * blue[0]
