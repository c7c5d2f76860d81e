"""The command as a user runs it: a folder of files, exit status and JSON."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cadml_hostapp.cli import COMMANDS, main
from tests.integration.command import Run, in_own_process, in_process

TETRAHEDRON = (
    ((0, 0, 0), (0, 1, 0), (1, 0, 0)),
    ((0, 0, 0), (1, 0, 0), (0, 0, 1)),
    ((0, 0, 0), (0, 0, 1), (0, 1, 0)),
    ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
)


def stl(path: Path, size: tuple[float, float, float]) -> Path:
    """Write a tetrahedron with these legs as ASCII STL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["solid t"]
    for facet in TETRAHEDRON:
        corners = [" ".join(str(c * s) for c, s in zip(corner, size, strict=True)) for corner in facet]
        lines += [
            "facet normal 0 0 0",
            "outer loop",
            *(f"vertex {c}" for c in corners),
            "endloop",
            "endfacet",
        ]
    path.write_text("\n".join([*lines, "endsolid t", ""]))
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A data folder of its own, and no readers but STL: the others take half a second to load."""
    return {
        "CADML_DATA_DIR": str(tmp_path / "data"),
        "CADML_PLUGINS_DISABLE": "step,iges,dxf",
        "COLUMNS": "200",
        "PARSE_WORKERS": "1",
    }


@pytest.fixture
def run(tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``cadml`` in this process."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = in_process(*map(str, arguments), environ=environ | more)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def run_alone(tmp_path: Path, environ: dict[str, str]) -> Run:
    """Run ``cadml`` in a process of its own."""

    def call(*arguments: object, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = in_own_process(*map(str, arguments), environ=environ | more, folder=tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five good parts in two labelled folders, one torn file, one that is something else."""
    root = tmp_path / "parts"
    for number in range(3):
        stl(root / "slim" / f"slim {number}.stl", (10.0 + number, 1.0, 1.0))
    for number in range(2):
        stl(root / "cube" / f"cube {number}.stl", (5.0, 5.0, 5.0 + number / 10))
    torn = stl(root / "torn.stl", (1.0, 1.0, 1.0))
    torn.write_text(torn.read_text()[:300])
    (root / "really.stl").write_bytes(b"%PDF-1.7 not a mesh")
    (root / "notes.txt").write_text("not a part")
    return root


def parsed(done: subprocess.CompletedProcess[str]) -> Any:
    """The one JSON document on standard output."""
    return json.loads(done.stdout)


def test_from_a_folder_to_the_nearest_part(run: Run, run_alone: Run, folder: Path) -> None:
    """Ingest, search by file and by id: the nearest is the part itself, then its siblings."""
    summary = parsed(run_alone("ingest", folder, "--label-from", "parent", "--json"))
    assert (summary["total"], summary["added"], summary["failed"]) == (7, 5, 2)
    codes = {Path(failure["path"]).name: failure["code"] for failure in summary["failures"]}
    assert codes == {"torn.stl": "PARSE_FAILED", "really.stl": "INPUT_FORMAT_INVALID"}
    found = parsed(run_alone("search", folder / "slim" / "slim 1.stl", "-k", 3, "--explain", "--json"))
    assert found["hits"][0]["score"] == 1.0
    assert [hit["label"] for hit in found["hits"]] == ["slim"] * 3
    for hit in found["hits"][1:]:
        assert sum(item["share"] for item in hit["explanation"]) == pytest.approx(1.0)
    by_id = parsed(run("search", found["hits"][0]["id"], "-k", 2, "--json"))
    assert [hit["id"] for hit in by_id["hits"]] == [hit["id"] for hit in found["hits"][1:]]
    filtered = parsed(run("search", folder / "slim" / "slim 1.stl", "--label", "cube", "--json"))
    assert {hit["label"] for hit in filtered["hits"]} == {"cube"}


def test_a_second_run_changes_nothing(run: Run, folder: Path) -> None:
    """Unchanged files are not read again; a changed one replaces; the failures are told again."""
    run("ingest", folder, "--json")
    again = parsed(run("ingest", folder, "--json"))
    assert (again["added"], again["unchanged"], again["failed"]) == (0, 5, 2)
    stl(folder / "cube" / "cube 0.stl", (7.0, 7.0, 7.0))
    changed = parsed(run("ingest", folder, "--json"))
    assert (changed["added"], changed["replaced"], changed["unchanged"]) == (0, 1, 4)


def test_strict_fails_where_a_file_does(run: Run, folder: Path) -> None:
    """--strict turns refused files into exit status 1."""
    run("ingest", folder, "--strict", code=1)


def test_extract_shows_and_stores_nothing(run: Run, folder: Path, tmp_path: Path) -> None:
    """The answer has the documented fields, and no catalogue appears."""
    answer = parsed(run("extract", folder / "cube" / "cube 0.stl", "--version", "v4", "--json"))
    assert set(answer) == {
        "format",
        "sha256",
        "feature_version",
        "slots",
        "values",
        "document",
        "warnings",
    }
    values = dict(zip(answer["slots"], answer["values"], strict=True))
    assert len(values) == 24
    assert values["bbox_volume_estimate"] == pytest.approx(125.0)
    assert values["facets_count"] == 4
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["extract", "nowhere.stl"], "DATA_NOT_FOUND"),
        (["extract", "parts"], "INPUT_UNREADABLE"),
        (["extract", "parts/torn.stl"], "PARSE_FAILED"),
        (["extract", "parts/really.stl"], "INPUT_FORMAT_INVALID"),
        (["extract", "parts/notes.txt"], "UNSUPPORTED_FORMAT"),
        (["extract", "parts/torn.stl", "--version", "v99"], "DATA_NOT_FOUND"),
        (["search", "no such part"], "DATA_NOT_FOUND"),
        (["search", "parts/cube/cube 0.stl", "-k", "0"], "INPUT_VALIDATION_FAILED"),
        (["evaluate"], "INPUT_VALIDATION_FAILED"),
        (["export", "out.npz"], "DATA_NOT_FOUND"),
        (["export", "out.xlsx"], "DATA_NOT_FOUND"),
        (["import", "nowhere.csv"], "DATA_NOT_FOUND"),
    ],
)
def test_errors_have_one_shape(run: Run, folder: Path, arguments: list[str], code: str) -> None:
    """With --json an error is the documented object on standard output."""
    problem = parsed(run(*arguments, "--json", code=1))
    assert problem["code"] == code
    assert set(problem) == {"code", "stage", "message", "context", "timestamp"}
    assert problem["message"]


def test_errors_are_sentences_for_people(run_alone: Run, folder: Path) -> None:
    """Without --json an error is its code and a sentence on standard error, and nothing else."""
    plain = run_alone("extract", "parts/torn.stl", code=1)
    assert plain.stdout == ""
    assert plain.stderr.startswith("PARSE_FAILED: ")
    assert "Traceback" not in plain.stderr


def test_misuse_is_exit_2(run: Run, run_alone: Run) -> None:
    """An unknown option or a missing argument is misuse, not failure."""
    run_alone("ingest", code=2)
    run("search", "x", "--no-such-option", code=2)
    run("no-such-command", code=2)


def test_an_impossible_setting_stops_the_start(run: Run, folder: Path) -> None:
    """The variable, the value and what is allowed are named."""
    told = run("ingest", folder, code=1, PARSE_TIMEOUT_SECONDS="soon").stderr
    assert "PARSE_TIMEOUT_SECONDS" in told
    assert "soon" in told
    run("ingest", folder, code=1, FEATURE_VERSION="v99")
    run("ingest", folder, code=1, VECTOR_STORE_BACKEND="qdrant")


def test_a_damaged_catalogue_is_told(run: Run, folder: Path, tmp_path: Path) -> None:
    """A database that is none is refused with its code, and left as it is."""
    (tmp_path / "data").mkdir()
    database = tmp_path / "data" / "catalogue.sqlite3"
    database.write_bytes(b"this is not a database" * 100)
    before = database.read_bytes()
    assert parsed(run("ingest", folder, "--json", code=1))["code"] == "CATALOGUE_UNAVAILABLE"
    assert database.read_bytes() == before


@pytest.mark.parametrize("suffix", ["npz", "csv", "jsonl"])
def test_export_and_import_are_inverse(run: Run, folder: Path, tmp_path: Path, suffix: str) -> None:
    """What was exported comes back into an empty catalogue, value for value; twice changes nothing."""
    run("ingest", folder, "--label-from", "parent")
    first, second = tmp_path / f"first.{suffix}", tmp_path / "second.npz"
    run("export", first, "--version", "v3")
    run("export", tmp_path / "truth.npz", "--version", "v3")
    other = {"CADML_DATA_DIR": str(tmp_path / "other")}
    assert parsed(run("import", first, "--json", **other))["added"] == 5
    assert parsed(run("import", first, "--json", **other))["unchanged"] == 5
    run("export", second, "--version", "v3", **other)
    with np.load(tmp_path / "truth.npz") as truth, np.load(second) as copy:
        for name in ("ids", "names", "paths", "labels", "slots", "values", "embeddings"):
            np.testing.assert_array_equal(truth[name], copy[name], err_msg=name)


def test_import_refuses_what_it_did_not_write(run: Run, folder: Path, tmp_path: Path) -> None:
    """A table with a slot missing, a value that is no number, or rubbish is refused whole."""
    run("ingest", folder)
    table = tmp_path / "table.csv"
    run("export", table)
    lines = table.read_text().splitlines()
    for damaged in (
        "\n".join([lines[0].replace("layer_count", "layers"), *lines[1:]]),
        "\n".join([*lines[:2], lines[2].replace("1.0", "one", 1), *lines[3:]]),
        "\n".join([*lines[:2], lines[2].replace("1.0", "1e300", 1), *lines[3:]]),  # beyond any index
        "\n".join([*lines, lines[1]]),
        "rubbish",
        "",
    ):
        table.write_text(damaged)
        empty = {"CADML_DATA_DIR": str(tmp_path / "empty")}
        assert parsed(run("import", table, "--json", code=1, **empty))["code"] == "INPUT_VALIDATION_FAILED"


def test_evaluate_compares_spaces(run: Run, folder: Path) -> None:
    """Every feature version in both spaces, with figures between 0 and 1."""
    run("ingest", folder)
    rows = parsed(run("evaluate", "--label", "parent", "--json"))
    assert {(row["feature_version"], row["metric"]) for row in rows} == {
        (version, metric)
        for version in ("v1", "v2", "v3", "v4", "identity", "shape")
        for metric in ("scaled", "cosine_raw")
    }
    for row in rows:
        assert row["queries"] == 5
        assert 0.0 < row["mean_average_precision"] <= 1.0
    assert "mAP" in run("evaluate", "--label", "parent").stdout


def test_settings_tell_where_values_come_from(run: Run, tmp_path: Path) -> None:
    """File and environment are named; secrets are not shown."""
    (tmp_path / "cadml.toml").write_text("[cache]\ncapacity = 7\n")
    rows = {row["environment"]: row for row in parsed(run("settings", "--json", ADMIN_TOKEN="hush"))}
    assert rows["FEATURE_CACHE_CAPACITY"]["value"] == 7
    assert rows["FEATURE_CACHE_CAPACITY"]["origin"] == "cadml.toml"
    assert rows["ADMIN_TOKEN"]["value"] == "(hidden)"
    assert rows["CADML_DATA_DIR"]["origin"] == "environment CADML_DATA_DIR"
    assert "hush" not in run("settings", ADMIN_TOKEN="hush").stdout


def install(site: Path, name: str, module: str, source: str) -> None:
    """Lay out a distribution as pip does: a module and its dist-info."""
    site.mkdir(exist_ok=True)
    (site / f"{module}.py").write_text(source)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cadml.v1]\n{name} = {module}\n")


def test_third_party_plugins(run_alone: Run, tmp_path: Path) -> None:
    """An installed distribution adds a format with no change here; one that raises on import is shown as
    failed with its traceback, and everything else works."""
    site = tmp_path / "site"
    off = Path(__file__).parents[2] / "contrib" / "plugins" / "cadml-off" / "cadml_off.py"
    install(site, "off", "cadml_off", off.read_text())
    install(site, "broken", "cadml_broken", "raise RuntimeError('broken on purpose')\n")
    environ = {"PYTHONPATH": str(site)}
    records = {row["name"]: row for row in parsed(run_alone("plugins", "list", "--json", **environ))}
    assert records["off"]["status"] == "loaded"
    assert records["broken"]["status"] == "failed"
    assert "broken on purpose" in records["broken"]["error"]
    told = parsed(run_alone("plugins", "doctor", "--json", code=1, **environ))["broken"]
    assert ["broken on purpose" in record["traceback"] for record in told] == [True]
    part = tmp_path / "part.off"
    part.write_text("OFF\n4 4 6\n0 0 0\n1 0 0\n0 1 0\n0 0 2\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n")
    answer = parsed(run_alone("extract", part, "--version", "v4", "--json", **environ))
    assert answer["format"] == "off"
    assert dict(zip(answer["slots"], answer["values"], strict=True))["facets_count"] == 4
    report = run_alone("plugins", "doctor", code=1, **environ).stdout
    assert "cadml_broken" in report or "cadml-broken" in report
    assert "To repair it" in report
    run_alone("no-such-command", code=2, **environ)
    run_alone("plugins", "doctor", CADML_PLUGINS_DISABLE="broken", **environ)
    safe = {
        row["name"]: row for row in parsed(run_alone("--safe-mode", "plugins", "list", "--json", **environ))
    }
    assert safe["off"]["status"] == "blocked"


def test_help_is_complete() -> None:
    """Every subcommand is listed and has help of its own."""
    listing = CliRunner().invoke(main, ["--help"]).output
    for name in COMMANDS:
        assert name in listing
        told = CliRunner().invoke(main, [name, "--help"])
        assert (told.exit_code, told.exception) == (0, None)
        assert len(told.output) > 100


class Hostile:
    """Would run a harmless command if anything loaded its pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


@pytest.mark.parametrize("mode", ["blacklist", "whitelist", "audit"])
def test_a_model_is_scanned_without_loading_it(run: Run, tmp_path: Path, mode: str) -> None:
    """Exit 0 allowed, 1 refused, 2 could not be scanned; audit mode refuses only what is malformed."""
    plain, hostile, torn = (tmp_path / f"{name}.pkl" for name in ("plain", "hostile", "torn"))
    plain.write_bytes(pickle.dumps({"weights": [1.0, 2.0]}))
    hostile.write_bytes(pickle.dumps(Hostile()))
    torn.write_bytes(plain.read_bytes()[:-1])
    assert parsed(run("model", "scan", plain, "--mode", mode, "--json"))["allowed"] is True
    answer = parsed(run("model", "scan", hostile, "--mode", mode, "--json", code=int(mode != "audit")))
    assert answer["globals"] == ["posix:system"]
    assert bool(answer["findings"]) == (mode != "audit")
    assert parsed(run("model", "scan", torn, "--mode", mode, "--json", code=1))["code"] == "MODEL_MALFORMED"
    assert parsed(run("model", "scan", tmp_path / "no.pkl", "--json", code=2))["code"] == "DATA_NOT_FOUND"
    run("model", "scan", plain, "--mode", "graylist", code=2)


def test_a_whitelist_is_proposed_without_what_is_dangerous(run: Run, tmp_path: Path) -> None:
    """A class of one's own is proposed; what the blacklist refuses never is."""
    own, hostile = tmp_path / "own.pkl", tmp_path / "hostile.pkl"
    own.write_bytes(b"\x80\x04\x8c\x08our_team\x8c\x05Model\x93)\x81.")
    hostile.write_bytes(pickle.dumps(Hostile()))
    told = parsed(run("model", "propose-whitelist", own, hostile, "--json"))
    assert told == {"files": 2, "proposed": ["our_team:Model"]}
    allowed = {"MODEL_OPCODE_WHITELIST": "our_team:Model"}
    run("model", "scan", own, "--mode", "whitelist", code=1)
    run("model", "scan", own, "--mode", "whitelist", **allowed)


def test_migrating_adds_the_other_version(run: Run, folder: Path) -> None:
    """Preview writes nothing, run computes exactly what extraction would have, status tells."""
    run("ingest", folder)
    preview = parsed(run("migrate", "preview", "v4", "--rehearse", "--json"))
    assert preview["to_migrate"] == 5
    assert preview["estimated_dimension_changes"] == {"positive": 5, "negative": 0, "zero": 0}
    assert preview["rehearsal"]["sampled"] == 5
    assert parsed(run("migrate", "run", "v4", "--dry-run", "--json"))["recomputed"] == 5
    assert parsed(run("migrate", "status", "--json"))["versions"] == {"v3": 5}
    assert parsed(run("migrate", "run", "v4", "--json"))["recomputed"] == 5
    assert parsed(run("migrate", "status", "--json"))["versions"] == {"v3": 5, "v4": 5}
    cube = folder / "cube" / "cube 0.stl"
    found = parsed(run("search", cube, "-k", 1, "--version", "v4", "--json"))
    assert found["hits"][0]["score"] == 1.0
    assert parsed(run("migrate", "run", "v9", "--json", code=1))["code"] == "DATA_NOT_FOUND"


def test_from_a_labelled_folder_to_a_serving_model(run: Run, folder: Path, tmp_path: Path) -> None:
    """Train says what it learned and how well; reload passes the checks; both take one command each."""
    run("ingest", folder, "--label-from", "parent")
    report = parsed(run("model", "train", "-o", "parts.pkl", "--json"))
    assert report["labels"] == {"cube": 2, "slim": 3}
    assert 0.0 <= report["accuracy"] <= 1.0
    assert report["serving"] is None
    strict = {"MODEL_OPCODE_MODE": "whitelist"}
    info = parsed(run("model", "reload", "parts.pkl", "--json", **strict))
    assert (info["load_seq"], info["mode"], info["feature_version"]) == (1, "whitelist", "v3")
    (tmp_path / "data" / "models" / "hostile.pkl").write_bytes(pickle.dumps(Hostile()))
    refused = parsed(run("model", "reload", "hostile.pkl", "--json", code=1, **strict))
    assert refused["code"] == "OPCODE_WHITELIST_VIOLATION"
    assert refused["context"]["global"] == "posix:system"
    assert parsed(run("model", "reload", "../keys", "--json", code=1))["code"] == "INPUT_VALIDATION_FAILED"
