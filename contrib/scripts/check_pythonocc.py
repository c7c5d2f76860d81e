"""Runs the STEP and IGES tests against pythonocc-core, the other Python binding of Open CASCADE.

python contrib/scripts/check_pythonocc.py FOLDER [pytest options]

pythonocc-core comes from conda-forge, or as the unofficial wheels ``pythonocc-core-wheels``, which need
glibc 2.39. Where conda (or mamba) is installed, it makes an environment in FOLDER. Otherwise debootstrap
(root, Debian or Ubuntu) makes a Debian 13 tree there, from the mirror that apt uses, and pip fetches the
wheels as it is set up on this machine. FOLDER is used again where it is there already.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("numpy", "msgspec", "pluggy", "platformdirs", "prometheus-client", "pytest")
"""What the readers and their tests import."""
SOURCES = ("cadml_core", "plugins", "tests", "pyproject.toml")
TESTS = tuple(
    f"tests/unit/formats/test_{name}.py" for name in ("step", "step_damaged", "iges", "cross_format")
)
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "--confcutdir=tests/unit/formats", *TESTS)
SUITE = "trixie"


def main(folder: Path, options: list[str]) -> int:
    """Run the tests in whatever environment can be made; return pytest's exit status."""
    folder.mkdir(parents=True, exist_ok=True)
    for conda in ("mamba", "conda"):
        if shutil.which(conda):
            return with_conda(conda, folder / "conda", options)
    if shutil.which("debootstrap") and os.geteuid() == 0:
        return with_debian(folder / SUITE, options)
    print("needs conda, or debootstrap and root: apt-get install debootstrap", file=sys.stderr)
    return 2


def with_conda(conda: str, prefix: Path, options: list[str]) -> int:
    """Make a conda environment and run the tests in it."""
    if not (prefix / "conda-meta").is_dir():
        run(conda, "create", "--yes", "--prefix", str(prefix), "--channel", "conda-forge", "python=3.12",
            "pythonocc-core", *NEEDED)  # fmt: skip
    paths = os.pathsep.join((str(ROOT), str(ROOT / "plugins")))
    command = (conda, "run", "--no-capture-output", "--prefix", str(prefix), "python", *PYTEST, *options)
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}, check=False).returncode


def with_debian(tree: Path, options: list[str]) -> int:
    """Make a Debian tree with the wheels and run the tests in it."""
    if not (tree / "venv/bin/pytest").exists():
        shutil.rmtree(tree, ignore_errors=True)
        packages = "--include=python3,python3-venv,libgl1,libgomp1"
        run("debootstrap", "--variant=minbase", packages, SUITE, str(tree), mirror())
        fetch_wheels(tree)
        inside(tree, "python3 -m venv /venv")
        names = " ".join((*NEEDED, "pythonocc-core-wheels"))
        inside(tree, f"/venv/bin/pip install --quiet --no-index --find-links /wheels {names}")
    copy_sources(tree / "src")
    # A mount namespace of its own: /proc, which /dev/fd needs, goes with the process.
    script = 'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -c "$1" sh "$@"'
    tests = "cd /src && shift && PYTHONPATH=/src:/src/plugins exec /venv/bin/python " + " ".join(PYTEST)
    command = ("unshare", "--mount", "sh", "-c", script, str(tree), tests + ' "$@"', *options)
    return subprocess.run(command, check=False).returncode


def mirror() -> str:
    """Return the package mirror that apt is set up with.

    Raises:
        SystemExit: apt knows none for Debian.
    """
    fields = (
        "apt-get",
        "indextargets",
        "--format",
        "$(ORIGIN) $(COMPONENT) $(REPO_URI)",
        "Created-By: Packages",
    )
    for line in subprocess.run(fields, capture_output=True, text=True, check=True).stdout.splitlines():
        origin, component, uri = line.split(maxsplit=2)
        if origin == "Debian" and component == "main":
            return uri
    raise SystemExit("apt has no Debian package list: run apt-get update first")


def fetch_wheels(tree: Path) -> None:
    """Download the wheels for the tree's Python with this machine's pip, into its /wheels."""
    probe = "import platform, sys; print('%d.%d' % sys.version_info[:2], platform.libc_ver()[1])"
    version, glibc = inside(tree, f'python3 -c "{probe}"').split()
    minor = int(glibc.partition(".")[2])
    tags = [f"manylinux_2_{number}_{platform.machine()}" for number in range(minor, 16, -1)]
    tags.append(f"manylinux2014_{platform.machine()}")
    run(sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(tree / "wheels"),
        "--only-binary=:all:", "--python-version", version,
        *(f"--platform={tag}" for tag in tags), "pythonocc-core-wheels", *NEEDED)  # fmt: skip


def copy_sources(target: Path) -> None:
    """Put the packages and the tests into the tree."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in SOURCES:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, target / name)


def inside(tree: Path, script: str) -> str:
    """Run a shell script in the tree, with nothing of this environment, and return what it prints."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    command = ("chroot", str(tree), "/bin/sh", "-ec", script)
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def run(*command: str) -> None:
    """Run a command; its failure is ours."""
    subprocess.run(command, check=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
