"""Everything a change must pass. ``nox`` runs the default sessions; ``nox --list`` names the rest."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "layers", "consistency", "tests", "wheel"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13"]


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group."""
    return nox.project.dependency_groups(PYPROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style."""
    session.install(*group("lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, of the product and of its tests, strictly."""
    session.install("-e", ".", *group("types"))
    session.run("mypy")


@nox.session
def layers(session: nox.Session) -> None:
    """Check that no layer imports one above it."""
    session.install("-e", ".", *group("layers"))
    session.run("lint-imports")


@nox.session
def consistency(session: nox.Session) -> None:
    """Check that metrics, error codes, rules and dashboard agree; test the rules with promtool, if any."""
    session.install("-e", ".", *group("consistency"))
    session.run("python", "contrib/scripts/metrics_consistency_check.py")
    session.run("python", "contrib/scripts/generate_error_code_table.py", "--check")
    if shutil.which("promtool") is None:
        session.warn("no promtool (Debian: prometheus): the rules were not tested")
        return
    folder = Path("contrib/monitoring")
    rules = [str(folder / name) for name in ("alerts.yaml", "recording.yaml")]
    session.run("promtool", "check", "rules", *rules, external=True)
    session.run("promtool", "test", "rules", str(folder / "rules_test.yaml"), external=True)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests."""
    session.install("-e", ".", *group("test"))
    session.run("pytest", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it alone, and run the main job from it."""
    session.install("build")
    output = Path(session.create_tmp()) / "dist"
    shutil.rmtree(output, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(output), silent=True)
    session.install(*map(str, output.glob("*.whl")))
    session.run("python", "contrib/scripts/check_wheel.py", *map(str, output.iterdir()))
    session.chdir(session.create_tmp())
    session.run("cadml", "demo", "--json", silent=True, env={"CADML_DATA_DIR": "data"})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site of the documents, and follow their links."""
    session.install(*group("docs"))
    session.run("python", "contrib/scripts/check_links.py")
    session.run("mkdocs", "build", "--strict", "--site-dir", str(Path(session.create_tmp()) / "site"))


@nox.session
def contrib(session: nox.Session) -> None:
    """Install the contrib plugins as users do, run their tests, and see a broken one do no harm."""
    session.install(".[testing]", *map(str, sorted(Path("contrib/plugins").iterdir())))
    session.run("python", "contrib/scripts/check_plugins.py")
    for tests in sorted(Path("contrib/plugins").glob("*/tests")):
        session.run("pytest", str(tests), "--import-mode=importlib")


@nox.session
def authors(session: nox.Session) -> None:
    """Write, install and test a plugin of each kind with the published commands alone."""
    session.install(".[testing]", "hatchling", "editables", "pip")
    session.run("python", "contrib/scripts/play_author.py")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Damage good files of every format and read them; options go to tests/fuzz/fuzz_readers.py."""
    session.install("-e", ".", *group("test"))
    session.run("python", "tests/fuzz/fuzz_readers.py", *session.posargs)


@nox.session
def fuzz_models(session: nox.Session) -> None:
    """Damage pickles by bytes and by opcodes; options go to tests/fuzz/fuzz_pickles.py."""
    session.install("-e", ".", *group("test"))
    session.run("python", "tests/fuzz/fuzz_pickles.py", *session.posargs)


@nox.session
def hostile(session: nox.Session) -> None:
    """Judge families of hostile model state beside public scanners; then serve every ordinary classifier."""
    session.install("-e", ".", *group("test"))
    session.install("picklescan", "fickling", "modelscan", success_codes=[0, 1])
    session.run("python", "-m", "tests.fuzz.judge_hostile", *session.posargs)
    session.run("python", "-m", "tests.unit.classifier.serve_zoo")


@nox.session
def schemathesis(session: nox.Session) -> None:
    """Ask a live server everything its OpenAPI document allows, and more; options go to schemathesis."""
    session.install("-e", ".", *group("test"), *group("schemathesis"))
    session.run("python", "-m", "tests.integration.http.fuzz", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Kill a server during 200 uploads; watch another under load: nox -s soak -- --minutes 10."""
    session.install("-e", ".", *group("test"))
    killed = ["tests/integration/http/test_live.py", "-k", "killing"]
    session.run("pytest", *killed, env={"CADML_TEST_UPLOADS": "200"})
    session.run("python", "-m", "tests.integration.http.soak")
    session.run("python", "-m", "tests.integration.http.endurance", *session.posargs)


@nox.session
def fairness(session: nox.Session) -> None:
    """Fill the readers with files that hang, then send 500 uploads of 5 MB at once; print the waits."""
    session.install("-e", ".", *group("test"))
    session.run("python", "-m", "tests.integration.http.fairness")
    session.run("python", "-m", "tests.integration.http.burst", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Fill disks, lock databases, kill PostgreSQL and more; print what was seen, and what was lost."""
    session.install("-e", ".", *group("test"))
    session.run("python", "-m", "tests.faults", *session.posargs, env={"CADML_LOG_LEVEL": "error"})


@nox.session
def stress(session: nox.Session) -> None:
    """Migrate, reload, degrade and repeat under stress; what grows too much in memory fails."""
    session.install("-e", ".", *group("test"))
    for check in (
        ("stress_migration.py", "--vectors", "1000"),
        ("stress_concurrency_reload.py", "--threads", "10"),
        ("stress_degradation.py", "--cycles", "50"),
        ("stress_memory_gc_check.py",),
    ):
        session.run("python", f"contrib/scripts/{check[0]}", *check[1:], env={"STRESS_STRICT": "1"})


@nox.session
def hostile_live(session: nox.Session) -> None:
    """Serve models that die, hang, eat memory and flood, while files are uploaded and searched."""
    session.install("-e", ".", *group("test"))
    session.run("python", "-m", "tests.integration.http.hostile_live", *session.posargs)


@nox.session
def hostile_families(session: nox.Session) -> None:
    """Load every family of hostile state into a live server in each mode; see that nothing comes of it."""
    session.install("-e", ".", *group("test"))
    session.run("python", "-m", "tests.integration.http.families_live", *session.posargs)


@nox.session
def monitoring(session: nox.Session) -> None:
    """Run every query of rules and dashboard in a real Prometheus that scrapes a server; fire every alert."""
    session.install("-e", ".", *group("test"))
    session.run("python", "-m", "tests.integration.http.monitoring_live")
    session.run("python", "-m", "tests.integration.http.alerts_live", *session.posargs)


@nox.session
def corpus(session: nox.Session) -> None:
    """Read every real file below CADML_CORPUS and print a table by format."""
    folder = session.env.get("CADML_CORPUS") or os.environ.get("CADML_CORPUS")
    if not folder:
        session.skip("CADML_CORPUS names no folder")
    session.install("-e", ".", *group("test"))
    manifest = Path(folder) / "manifest.csv"
    options = ["--manifest", str(manifest)] if manifest.is_file() else []
    session.run("python", "contrib/scripts/check_readers.py", folder, *options, *session.posargs)
    session.run("pytest", "-m", "corpus")


@nox.session
def truth(session: nox.Session) -> None:
    """Compare what the readers measure in a folder with what other code measures, and twins."""
    if not session.posargs:
        session.error("name a folder of CAD files: nox -s truth -- FOLDER")
    session.install("-e", ".", *group("benchmarks"))
    session.run("python", "contrib/scripts/check_truth.py", *session.posargs)
    folder = Path(session.posargs[0])
    twins = [str(path.parent) for path in sorted(folder.rglob("manifest.csv"))]
    if twins:
        session.run("python", "contrib/scripts/check_twins.py", *twins)


@nox.session
def pythonocc(session: nox.Session) -> None:
    """Run the STEP and IGES tests with pythonocc-core, in a conda or Debian 13 environment made here."""
    session.install("pip")
    session.run("python", "contrib/scripts/check_pythonocc.py", session.create_tmp(), *session.posargs)


@nox.session
def schedules(session: nox.Session) -> None:
    """Run a thousand random schedules of index faults against a server over HTTP."""
    session.install("-e", ".", *group("test"))
    path = "tests/integration/http/test_fault_schedules.py"
    session.run("pytest", path, *session.posargs, env={"CADML_FAULT_SCHEDULES": "1000"})


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Print the tables of ratios."""
    session.install("-e", ".", *group("benchmarks"))
    for script in session.posargs or sorted(map(str, Path("tests/benchmarks").glob("bench_*.py"))):
        session.run("python", script)
