"""Figures by a manifest are what counting by hand gives, and their intervals are honest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cadml_core.catalog.paths import path_to_text
from cadml_core.errors import InvalidInput, NotFound
from cadml_core.search.benchmark import Measured, benchmark
from cadml_core.search.bootstrap import Bootstrap
from cadml_core.search.evaluation import LabelledQueries, evaluate
from cadml_core.search.manifest import COLUMNS, Entry, match, read_manifest
from cadml_core.search.spaces import Space

HEADER = ",".join([*COLUMNS, "note"])


def entry(path: str, relation: str, base: str = "", family: str = "", chiral: bool = False) -> Entry:
    """An entry whose format is its suffix."""
    return Entry(path, path.rpartition(".")[2], family, base, relation, chiral)


def measured(box: Any, *rows: tuple[Entry | None, float]) -> Measured:
    """Parts along one axis, at these places."""
    raw = np.array([[place, 0.0, 0.0] for _, place in rows])
    return Measured(Space(box, "scaled"), raw, [named for named, _ in rows])


def scene(box: Any, same: float = 0.0, edited: float = 3.0) -> Measured:
    """Two families of two, a same and an edited variant of the first part, a pair, and a part of nobody."""
    return measured(
        box,
        (entry("a0.step", "aligned", family="a"), 0.0),
        (entry("a1.step", "turned", family="a"), 2.0),
        (entry("b0.step", "aligned", family="b"), 3.0),
        (entry("b1.step", "aligned", family="b"), 10.0),
        (entry("v0.step", "rotated", "a0.step", "a"), same),
        (entry("v1.step", "hole_dia", "a0.step", "a"), edited),
        (entry("p.step", "pair_step"), 20.0),
        (entry("p.stl", "pair_stl", "p.step"), 21.0),
        (None, 19.5),
    )


def test_the_figures_are_those_of_counting(box: Any) -> None:
    """Each by hand, from the places on the axis."""
    found = benchmark(scene(box))
    # a0: a1 first; a1: b0 at 1, a0 at 2; b0: a1, a0, b1; b1: b0 first
    assert found.families["all"]["mAP"].value == pytest.approx((1 + 1 / 2 + 1 / 3 + 1) / 4)
    assert found.families["all"]["P@1"].value == 0.5
    assert found.families["turned"]["mAP"].value == 0.5
    assert found.families["aligned"]["P@1"].n == 3
    assert found.relations["rotated"].first.value == 1.0
    # b0 lies where the edited part does, then a1, then a0
    assert found.relations["hole_dia"].median_rank == 3.0
    assert found.relations["hole_dia"].median_score == 0.25
    assert list(found.relations) == ["rotated", "hole_dia"]
    assert found.same_part is not None
    assert (found.same_part.value, found.same_part.n) == (1.0, 1)
    # the part of nobody is nearer to the STEP than its STL is; from the STL the STEP comes first
    assert found.cross_format["step -> stl"].median_rank == 2.0
    assert found.cross_format["stl -> step"].first.value == 1.0
    assert found.auc["same vs edited"].value == 1.0
    assert (found.score_one, found.score_one_wrong) == (2, 1)


def test_ties_are_not_rewarded(box: Any) -> None:
    """Parts exactly as near share the mean of their ranks, so none of them is first."""
    found = benchmark(
        measured(
            box,
            (entry("a.step", "aligned", family="a"), 1.0),
            (None, -1.0),
            (entry("v.step", "rotated", "a.step"), 0.0),
        )
    )
    assert found.relations["rotated"].median_rank == 1.5
    assert found.relations["rotated"].first.value == 0.0
    assert found.families == {}


def test_a_mirror_image_is_the_same_part_unless_it_is_chiral(box: Any) -> None:
    """And a variant that is neither surely the same nor surely another tells nothing of scores."""
    rows = [(entry("a.step", "aligned", family="a"), 0.0)]
    for number, (relation, chiral) in enumerate(
        [("mirrored", False), ("mirrored", True), ("dxf_face", False)]
    ):
        rows.append((entry(f"{number}.step", relation, "a.step", chiral=chiral), 0.0))
    found = benchmark(measured(box, *rows))
    assert found.same_part is not None
    assert found.same_part.n == 1
    assert (found.score_one, found.score_one_wrong) == (2, 1)
    assert found.auc["same vs other"].value == 0.5
    assert set(found.auc) == {"same vs other"}


def test_versions_are_compared_query_by_query(box: Any) -> None:
    """A gain of every query is a gain for sure, whatever the spread among queries."""
    better, worse = scene(box), scene(box, same=2.0, edited=1.0)
    gains = benchmark(better, worse).differences
    assert gains["same part"].low == gains["same part"].value == 1.0
    assert gains["same vs edited"].value == 1.0
    assert (gains["mAP"].low, gains["mAP"].high) == (0.0, 0.0)
    assert benchmark(better).differences == {}


def test_nothing_to_ask_is_an_error(box: Any) -> None:
    """A catalogue without two parts of a family, a variant or a pair cannot be measured."""
    with pytest.raises(InvalidInput, match="ingest the folder"):
        benchmark(measured(box, (entry("a.step", "aligned", family="a"), 0.0), (None, 1.0)))


class TestBootstrap:
    """Intervals."""

    def test_an_interval_covers_the_mean_as_often_as_it_says(self) -> None:
        """95 % intervals of 40 values miss the true mean in about one case of twenty."""
        rng = np.random.default_rng(1)
        covered = 0
        for trial in range(200):
            figure = Bootstrap(trial).mean(rng.normal(0.3, 1.0, size=40))
            assert figure.low <= figure.value <= figure.high
            covered += figure.low <= 0.3 <= figure.high
        assert 0.88 <= covered / 200 <= 0.99

    def test_the_same_seed_draws_the_same(self) -> None:
        """And another seed others; values that are all alike leave no doubt."""
        values = np.arange(50.0)
        assert Bootstrap(3).mean(values) == Bootstrap(3).mean(values)
        assert Bootstrap(3).mean(values) != Bootstrap(4).mean(values)
        alike = Bootstrap(3).mean(np.ones(7))
        assert (alike.value, alike.low, alike.high, alike.n) == (1.0, 1.0, 1.0, 7)

    def test_the_area_counts_ties_half(self) -> None:
        """Of four pairs one is lost, one tied, two are won; the difference to itself is none."""
        samples = (np.array([0.5, 1.0]), np.array([0.5, 0.7]))
        figure = Bootstrap().auc(*samples)
        assert figure.value == pytest.approx(2.5 / 4)
        assert 0.0 <= figure.low <= figure.value <= figure.high <= 1.0
        none = Bootstrap().auc_difference(samples, samples)
        assert (none.value, none.low, none.high) == (0.0, 0.0, 0.0)

    def test_labels_have_intervals_and_gains(self, box: Any) -> None:
        """The interval encloses the figure; the gain over oneself is none."""
        rng = np.random.default_rng(2)
        raw, labels = rng.normal(size=(30, 3)), list("abc" * 10)
        queries = LabelledQueries(Space(box, "scaled"), raw, labels)
        found = evaluate(queries, queries)
        low, high = found.intervals["mean_average_precision"]
        assert low < found.mean_average_precision < high
        assert found.gain is not None
        assert (found.gain.value, found.gain.low, found.gain.high) == (0.0, 0.0, 0.0)


class TestManifest:
    """Files that say what is true."""

    def test_entries_are_read(self, tmp_path: Path) -> None:
        """Any order of columns, further ones, a byte order mark, blanks."""
        file = tmp_path / "m.csv"
        file.write_text(
            "\ufeffnote,chiral,relation,base,family,format,path\nx,1,aligned,,nuts,step,a.step\n"
            "y,0, mirrored ,a.step,nuts,step,b.step\n",
            encoding="utf-8",
        )
        found = read_manifest(file)
        assert found["a.step"] == entry("a.step", "aligned", family="nuts", chiral=True)
        assert found["b.step"].same_part

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("path,family\n", "no column format, base, relation, chiral"),
            ("", "no column path"),
            (f"{HEADER}\na,,,,x,,\na,,,,x,,\n", "a path twice in line 3"),
            (f"{HEADER}\n,,,,x,,\n", "no path in line 2"),
            (f"{HEADER}\na,,,b,x,,\n", "the base b, which is no path of it"),
            (f"{HEADER}\na\n", ""),
        ],
    )
    def test_what_is_no_manifest_is_refused(self, tmp_path: Path, text: str, told: str) -> None:
        """With the column or the line; a short line has empty fields."""
        file = tmp_path / "m.csv"
        file.write_text(text)
        if not told:
            assert read_manifest(file)["a"].relation == ""
            return
        with pytest.raises(InvalidInput, match=told):
            read_manifest(file)

    def test_a_file_that_is_none_is_refused(self, tmp_path: Path) -> None:
        """Absent, a folder, or bytes."""
        with pytest.raises(NotFound, match="there is no file"):
            read_manifest(tmp_path / "nowhere.csv")
        (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
        for wrong in (tmp_path, tmp_path / "bytes.csv"):
            with pytest.raises(InvalidInput, match="cannot be read"):
                read_manifest(wrong)

    def test_parts_are_matched_by_the_end_of_their_path(self, tmp_path: Path) -> None:
        """The file beside the manifest goes first; a copy elsewhere serves; two copies are one too many."""
        entries = {path: entry(path, "aligned") for path in ("f/a.step", "a.step", "b.step")}
        here = path_to_text(tmp_path)
        paths = {1: f"{here}/f/a.step", 2: "/copy/f/a.step", 3: "/copy/x/a.step", 4: "/copy/xb.step"}
        found = match(entries, tmp_path, paths)
        assert {row: named.path for row, named in found.items()} == {1: "f/a.step", 3: "a.step"}
        with pytest.raises(InvalidInput, match=r"could both be the manifest's b\.step"):
            match(entries, tmp_path, {1: "/x/b.step", 2: "/y/b.step"})
