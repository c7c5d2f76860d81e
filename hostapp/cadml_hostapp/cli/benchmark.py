"""``cadml evaluate --manifest``: the truth of a manifest against what each feature version finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cadml_hostapp.cli.console import err, escape, out, print_json, progress_bar, table
from cadml_hostapp.cli.evaluate import compared

if TYPE_CHECKING:
    from cadml_core.contracts.features import FeatureVersion
    from cadml_core.runtime import Runtime
    from cadml_core.search.benchmark import Benchmark
    from cadml_core.search.bootstrap import Figure
    from cadml_core.search.manifest import Entry

_SHOWN_UNREAD = 5


def evaluate(
    runtime: Runtime,
    manifest: Path,
    features: list[FeatureVersion],
    format_name: str | None,
    seed: int,
    *,
    as_json: bool,
) -> None:
    """Measure feature versions by a manifest, and print the figures side by side.

    Raises:
        NotFound, InvalidInput: There is no such manifest, it is none, or the catalogue holds none of it.
    """
    from cadml_core.search.manifest import match, read_manifest

    entries = read_manifest(manifest)
    parts = [part for part in runtime.catalog.parts() if format_name is None or part.format == format_name]
    paths = {part.row: part.path for part in parts if part.path}
    named = match(entries, manifest.parent, paths)
    in_catalogue = {entry.path for entry in named.values()}
    absent = sorted(entries.keys() - in_catalogue)
    if not as_json:
        _tell_absent(absent, len(entries))
    found = compared(runtime.intake, features, parts)
    results = _measure(found.values, [named.get(part.row) for part in found.parts], seed)
    kept = sum(part.row in named for part in found.parts)
    if as_json:
        print_json(
            {
                "manifest": str(manifest),
                "files": len(entries),
                "absent": absent,
                "evaluated": kept,
                "distractors": len(found.parts) - kept,
                "seed": seed,
                "versions": results,
            }
        )
        return
    besides = len(found.parts) - kept
    out.print(f"{kept} of {len(entries)} files of {escape(str(manifest))}, {besides} parts besides\n")
    _show(results)


def _measure(
    values: list[tuple[FeatureVersion, Any]], entries: list[Entry | None], seed: int
) -> list[Benchmark]:
    from cadml_core.search.benchmark import Measured, benchmark
    from cadml_core.search.bootstrap import Bootstrap
    from cadml_core.search.spaces import Space

    results: list[Benchmark] = []
    first: Measured | None = None
    for feature, raw in values:
        with progress_bar(f"searching by {feature.name}") as update:
            measured = Measured(Space(feature, "scaled"), raw, entries, update)
        results.append(benchmark(measured, first, Bootstrap(seed)))
        first = first or measured
    return results


def _tell_absent(absent: list[str], total: int) -> None:
    if absent:
        shown = ", ".join(absent[:_SHOWN_UNREAD]) + (", ..." if len(absent) > _SHOWN_UNREAD else "")
        err.print(
            f"[yellow]{len(absent):,} of the manifest's {total:,} files are not in the catalogue:[/]"
            f" {escape(shown)}; `cadml failures` says which could not be read"
        )


def _show(results: list[Benchmark]) -> None:
    """Print one line for each figure and one column for each version, with 95 % intervals."""
    for title, rows in (
        ("Families (leave-one-out among members)", list(_families(results))),
        ("Variants: share that find their base first", list(_relations(results))),
        ("One part in two formats: share found first", list(_formats(results))),
        ("Same or not, by score", list(_telling(results))),
        (f"Beyond {results[0].feature_version}, query by query", list(_gains(results))),
    ):
        if not rows:
            continue
        shown = table(title, "n")
        for result in results:
            shown.add_column(result.feature_version, justify="right")
        for row in rows:
            shown.add_row(*row)
        out.print(shown)
        out.print("")


def _row(name: str, figures: list[Figure | None], *, sign: bool = False) -> list[str]:
    count = next((str(figure.n) for figure in figures if figure), "")
    return [escape(name), count, *(_told(figure, sign=sign) for figure in figures)]


def _told(figure: Figure | None, *, sign: bool) -> str:
    if figure is None:
        return "-"
    form = "{:+.3f} ({:+.2f} to {:+.2f})" if sign else "{:.3f} ({:.2f} to {:.2f})"
    return form.format(figure.value, figure.low, figure.high)


def _families(results: list[Benchmark]) -> Iterator[list[str]]:
    for group, figures in results[0].families.items():
        for name in figures:
            yield _row(f"{group} {name}", [result.families[group][name] for result in results])


def _relations(results: list[Benchmark]) -> Iterator[list[str]]:
    for name in results[0].relations:
        yield _row(name, [result.relations[name].first for result in results])
    if results[0].same_part is not None:
        yield _row("all that are the same part", [result.same_part for result in results])


def _formats(results: list[Benchmark]) -> Iterator[list[str]]:
    for name in results[0].cross_format:
        yield _row(name, [result.cross_format[name].first for result in results])


def _telling(results: list[Benchmark]) -> Iterator[list[str]]:
    for name in results[0].auc:
        yield _row(f"AUC {name}", [result.auc[name] for result in results])
    if results[0].relations:
        wrong = [f"{result.score_one_wrong} of {result.score_one}" for result in results]
        yield ["hits of score 1 that are another part", "", *wrong]


def _gains(results: list[Benchmark]) -> Iterator[list[str]]:
    for name in results[-1].differences:
        yield _row(name, [result.differences.get(name) for result in results], sign=True)
