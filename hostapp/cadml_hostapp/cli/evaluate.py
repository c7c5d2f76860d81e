"""``cadml evaluate``: how well searches in each space find parts of the same label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from cadml_hostapp.cli.console import (
    Options,
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
    from cadml_core.catalog.store import Catalog
    from cadml_core.contracts.features import FeatureVersion
    from cadml_core.intake.intake import Intake
    from cadml_core.search.evaluation import Evaluation


@click.command()
@label_option
@click.option("--version", "versions", multiple=True, help="Feature version, repeatable; all by default.")
@click.option("--format", "format_name", help="Only parts of this format.")
@json_option
@click.pass_obj
@reports_errors
def evaluate(
    options: Options, source: str, versions: tuple[str, ...], format_name: str | None, as_json: bool
) -> None:
    """Measure how well searches find parts of the same label.

    Searches every labelled part among all others: mean average precision, P@1, P@5. `scaled` is the space
    that searches use; `cosine_raw` compares raw values by angle.
    """
    from cadml_core.errors import NotFound

    with options.runtime() as runtime:
        features = runtime.registry.features
        chosen = [features.named(version) for version in versions] or list(features.values())
        labelled = _labelled(runtime.catalog, source, format_name)
        results = [result for feature in chosen for result in _evaluated(runtime.intake, feature, labelled)]
    if not results:
        raise NotFound("no labelled part has a vector of these feature versions", stage="evaluate")
    if as_json:
        print_json(results)
    else:
        _show(results)


def _labelled(catalog: Catalog, source: str, format_name: str | None) -> dict[int, tuple[Part, str]]:
    from cadml_core.errors import InvalidInput

    found = {}
    for part in catalog.parts():
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


def _evaluated(
    intake: Intake, feature: FeatureVersion, labelled: dict[int, tuple[Part, str]]
) -> list[Evaluation]:
    """Evaluate one feature version in each of its spaces."""
    from cadml_core.intake.values import values_of
    from cadml_core.search.evaluation import evaluate as evaluate_space
    from cadml_core.search.spaces import Space, SpaceName

    with progress_bar("collecting values") as update:
        found = values_of(intake, feature, [part for part, _ in labelled.values()], update)
    show_missing(found.missing, feature.name)
    if not len(found.rows):
        return []
    labels = [labelled[row][1] for row in found.rows.tolist()]
    return [evaluate_space(Space(feature, metric), found.values, labels) for metric in get_args(SpaceName)]


def _show(results: list[Evaluation]) -> None:
    first = results[0]
    out.print(
        f"{first.parts} labelled parts, {first.labels} labels, {first.queries} queries, leave-one-out\n"
    )
    shown = table("version", "metric")
    for column in ("mAP", "P@1", "P@5"):
        shown.add_column(column, justify="right")
    for result in results:
        figures: list[Any] = [
            f"{value:.3f}"
            for value in (
                result.mean_average_precision,
                result.precision_at_1,
                result.precision_at_5,
            )
        ]
        shown.add_row(result.feature_version, result.metric, *figures)
    out.print(shown)
