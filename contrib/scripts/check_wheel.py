"""Checks what a built wheel and sdist hold: three packages, every entry point's module, nothing else.

python contrib/scripts/check_wheel.py dist/cadml-*.whl dist/cadml-*.tar.gz
"""

from __future__ import annotations

import configparser
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGES = {"cadml_core", "cadml_plugins", "cadml_hostapp"}
SDIST = {
    "cadml_core",
    "plugins",
    "hostapp",
    "tests",
    "docs",
    "contrib",
    "noxfile.py",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
    "LICENSES",
    "PKG-INFO",
    ".gitignore",
}


def check_wheel(path: Path) -> list[str]:
    """Return what is wrong with a wheel."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        info = next(name.split("/")[0] for name in names if name.split("/")[0].endswith(".dist-info"))
        entries = configparser.ConfigParser()
        entries.read_string(wheel.read(f"{info}/entry_points.txt").decode())
    tops = {name.split("/")[0] for name in names} - {info}
    faults = [f"{path.name}: unexpected at its top level: {top}" for top in sorted(tops - PACKAGES)]
    faults += [f"{path.name}: {package} is missing" for package in sorted(PACKAGES - tops)]
    faults += [
        f"{path.name}: {package}/py.typed is missing"
        for package in sorted(PACKAGES)
        if f"{package}/py.typed" not in names
    ]
    modules = {target.split(":")[0] for _, target in entries["cadml.v1"].items()}
    files = {module.replace(".", "/") + ".py" for module in modules}
    return faults + [f"{path.name}: an entry point names {file}" for file in sorted(files - set(names))]


def check_sdist(path: Path) -> list[str]:
    """Return what is wrong with a source distribution."""
    with tarfile.open(path) as sdist:
        tops = {name.split("/")[1] for name in sdist.getnames() if "/" in name}
    faults = [f"{path.name}: unexpected: {top}" for top in sorted(tops - SDIST)]
    return faults + [f"{path.name}: {top} is missing" for top in sorted(SDIST - tops)]


def main(paths: list[Path]) -> int:
    """Check each file and return the exit status."""
    faults = [
        fault for path in paths for fault in (check_wheel if path.suffix == ".whl" else check_sdist)(path)
    ]
    print("\n".join(faults) or f"{len(paths)} distributions are as they should be")
    return 1 if faults or not paths else 0


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
