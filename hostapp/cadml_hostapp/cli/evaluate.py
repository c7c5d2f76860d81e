"""``cadml evaluate``: how well searches find what they should, side by side for several feature versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import click

from cadml_hostapp.cli.console import (
    Options,
    err,
    json_option,
    out,
    print_json,
    progress_bar,
    reports_errors,
    show_missing,
    table,
)
from cadml_hostapp.cli.labels import label_of, label_option

if TYPE_CHECKING:
    from cadml_core.catalog.records import Part
    from cadml_core.contracts.features import FeatureVersion
    from cadml_core.documents.arrays import FloatMatrix
    from cadml_core.intake.intake import Intake
    from cadml_core.runtime import Runtime
    from cadml_core.search.bootstrap import Bootstrap
    from cadml_core.search.evaluation import Evaluation


class Compared(NamedTuple):
    """Parts that every version has values of, and the values."""

    parts: list[Part]
    values: list[tuple[FeatureVersion, FloatMatrix]]


@click.command()
@label_option
@click.option(
    "--manifest",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV with the truth about files: families, variants and pairs, in place of labels.",
)
@click.option("--version", "versions", multiple=True, help="Feature version, repeatable; all by default.")
@click.option("--format", "format_name", help="Only parts of this format.")
@click.option("--seed", default=0, show_default=True, help="Of the samples drawn for the intervals.")
@json_option
@click.pass_obj
@reports_errors
def evaluate(
    options: Options,
    source: str,
    manifest: Path | None,
    versions: tuple[str, ...],
    format_name: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Measure how well searches find what they should.

    By labels: searches every labelled part among all others for parts of its label; mean average precision,
    P@1, P@5. `scaled` is the space that searches use; `cosine_raw` compares raw values by angle.

    With --manifest: families, which variant finds the part it was made from, formats of one part, and how
    surely a score tells the same part from an edited one. Parts that the manifest does not name are there to
    be mistaken for others.

    Several versions are measured over the parts that all of them have, and compared with the first: where
    none is named, the one that new parts get.
    Intervals are of 95 %.
    """
    from cadml_core.search.bootstrap import Bootstrap

    with options.stored() as runtime:
        chosen = chosen_versions(runtime, versions)
        if manifest is not None:
            from cadml_hostapp.cli import benchmark

            benchmark.evaluate(runtime, manifest, chosen, format_name, seed, as_json=as_json)
            return
        results = _by_labels(runtime, chosen, source, format_name, Bootstrap(seed))
    if as_json:
        print_json(results)
    else:
        _show(results)


def chosen_versions(runtime: Runtime, versions: tuple[str, ...]) -> list[FeatureVersion]:
    """Return the versions that options name; where they name none all, the one that new parts get first.

    Raises:
        NotFound: One is not installed.
    """
    features = runtime.registry.features
    everything = dict.fromkeys((runtime.feature.name, *features))
    return [features.named(name) for name in dict.fromkeys(versions) or everything]


def compared(intake: Intake, features: list[FeatureVersion], parts: list[Part]) -> Compared:
    """Collect the values of parts in each version, of those parts that have all; says which are left out.

    Raises:
        NotFound: No part has values of all these versions.
    """
    import numpy as np

    from cadml_core.errors import NotFound
    from cadml_core.intake.values import values_of

    found = []
    for feature in features:
        with progress_bar(f"collecting values of {feature.name}") as update:
            values = values_of(intake, feature, parts, update)
        show_missing(values.missing, feature.name)
        if len(values.rows):
            found.append((feature, values))
    if not found:
        raise NotFound("no part to be evaluated has a vector of these feature versions", stage="evaluate")
    rows = found[0][1].rows
    for _, values in found[1:]:
        rows = np.intersect1d(rows, values.rows, assume_unique=True)
    if not len(rows):
        names = ", ".join(feature.name for feature, _ in found)
        raise NotFound(f"no part has vectors of all of {names}; compare fewer --version", stage="evaluate")
    if len(found) > 1 and len(rows) < len(parts):
        err.print(f"{len(rows):,} of {len(parts):,} parts have all of these versions and are compared")
    by_row = {part.row: part for part in parts}
    return Compared(
        [by_row[row] for row in rows.tolist()],
        [(feature, values.values[np.searchsorted(values.rows, rows)]) for feature, values in found],
    )


def _by_labels(
    runtime: Runtime,
    features: list[FeatureVersion],
    source: str,
    format_name: str | None,
    bootstrap: Bootstrap,
) -> list[Evaluation]:
    from cadml_core.search.evaluation import LabelledQueries
    from cadml_core.search.evaluation import evaluate as evaluate_space
    from cadml_core.search.spaces import Space, SpaceName

    labels = _labelled(runtime, source, format_name)
    parts, values = compared(runtime.intake, features, [part for part, _ in labels.values()])
    names = [labels[part.row][1] for part in parts]
    results = []
    baselines: dict[str, LabelledQueries] = {}
    with progress_bar("searching") as update:
        for feature, raw in values:
            for metric in get_args(SpaceName):
                queries = LabelledQueries(Space(feature, metric), raw, names)
                first = baselines.setdefault(metric, queries)
                results.append(evaluate_space(queries, first if first is not queries else None, bootstrap))
                update(len(results), len(values) * len(get_args(SpaceName)))
    return results


def _labelled(runtime: Runtime, source: str, format_name: str | None) -> dict[int, tuple[Part, str]]:
    from cadml_core.errors import InvalidInput

    found = {}
    for part in runtime.catalog.parts():
        label = label_of(part, source)
        if label and (format_name is None or part.format == format_name):
            found[part.row] = (part, label)
    if not found:
        raise InvalidInput(
            "the catalogue holds no labelled part; `cadml ingest --label-from parent FOLDER` labels parts"
            " with the folder they are in",
            stage="evaluate",
        )
    return found


def _show(results: list[Evaluation]) -> None:
    first = results[0]
    out.print(
        f"{first.parts} labelled parts, {first.labels} labels, {first.queries} queries, leave-one-out\n"
    )
    shown = table("version", "metric")
    for column in ("mAP", "95 %", "P@1", "P@5", f"mAP beyond {first.feature_version}"):
        shown.add_column(column, justify="right")
    for result in results:
        low, high = result.intervals["mean_average_precision"]
        figures: list[Any] = [
            f"{result.mean_average_precision:.3f}",
            f"{low:.2f} to {high:.2f}",
            f"{result.precision_at_1:.3f}",
            f"{result.precision_at_5:.3f}",
            ""
            if (gain := result.gain) is None
            else f"{gain.value:+.3f} ({gain.low:+.2f} to {gain.high:+.2f})",
        ]
        shown.add_row(result.feature_version, result.metric, *figures)
    out.print(shown)
