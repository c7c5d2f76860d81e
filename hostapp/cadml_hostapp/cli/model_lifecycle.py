"""``cadml model train | reload``: make a model from labelled parts, and choose the one that serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cadml_hostapp.cli.console import (
    Options,
    escape,
    json_option,
    out,
    print_json,
    progress_bar,
    reports_errors,
    show_missing,
)
from cadml_hostapp.cli.labels import label_of, label_option

if TYPE_CHECKING:
    from cadml_core.classifier.choice import ModelInfo
    from cadml_hostapp.training import TrainingReport, WrittenModel


@click.command()
@label_option
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("model.pkl"), show_default=True)
@click.option(
    "--version", "version_name", help="Feature version to learn from; the configured one by default."
)
@click.option("--reload", "serve", is_flag=True, help="Let every server on this catalogue use it.")
@json_option
@click.pass_obj
@reports_errors
def train(
    options: Options, source: str, output: Path, version_name: str | None, serve: bool, as_json: bool
) -> None:
    """Train a classifier on the labelled parts, and tell how often it is right on unseen parts.

    OUTPUT is in the model folder, unless it is an absolute path. Needs scikit-learn: `pip install
    "cadml[train]"`.
    """
    import msgspec

    from cadml_core.errors import InvalidInput
    from cadml_core.intake.values import values_of
    from cadml_hostapp.training import train as train_classifier

    with options.runtime(version=version_name) as runtime:
        labelled = {part.row: (part, label_of(part, source)) for part in runtime.catalog.parts()}
        parts = [part for part, label in labelled.values() if label]
        if not parts:
            raise InvalidInput(
                "the catalogue holds no labelled part; `cadml ingest --label-from parent FOLDER` labels them",
                stage="model_train",
            )
        with progress_bar("collecting values") as update:
            found = values_of(runtime.intake, runtime.feature, parts, update)
        show_missing(found.missing, runtime.feature.name)
        chosen = [labelled[row] for row in found.rows.tolist()]
        model, report = train_classifier(
            found.values,
            [label or "" for _, label in chosen],
            feature_version=runtime.feature.name,
            groups=[part.sha256 or part.id for part, _ in chosen],
        )
        written = _write(runtime.settings.model_path / output, model, report)
        info = runtime.models.registry.reload(written.path) if serve else None
    if as_json:
        print_json({**msgspec.to_builtins(report), "file": written, "serving": info})
    else:
        _show(report, written, info)


def _write(path: Path, model: object, report: TrainingReport) -> WrittenModel:
    from cadml_core.errors import UnreadableInput
    from cadml_hostapp.training import write_model

    try:
        return write_model(path, model, report)
    except OSError as error:
        raise UnreadableInput(f"cannot write {path}: {error.strerror}", path=str(path)) from error


def _show(report: TrainingReport, written: WrittenModel, info: ModelInfo | None) -> None:
    out.print(
        f"Trained on {report.samples:,} parts with {len(report.labels)} labels ({report.feature_version})."
    )
    out.print(
        f"On unseen parts ({report.folds}-fold validation) it was right in [bold]{report.accuracy:.1%}[/]"
        f" of cases; always answering the most frequent label would be right in {report.majority_share:.1%}."
    )
    if report.left_out:
        out.print(f"{len(report.left_out)} labels have a single part and were left out.")
    out.print(f"Written to {escape(written.path)}")
    if info is None:
        out.print(f"To use it on the servers: cadml model reload {escape(Path(written.path).name)}")
    else:
        out.print(f"Every server on this catalogue now uses it (load number {info.load_seq}).")


@click.command()
@click.argument("path")
@click.option("--sha256", help="64 hex digits that the file must have.")
@json_option
@click.pass_obj
@reports_errors
def reload(options: Options, path: str, sha256: str | None, as_json: bool) -> None:
    """Let every server on this catalogue use the model at PATH, inside the model folder.

    The file passes the same checks as on a server first: size, sha256, scan, policy, and a trial in a
    separate process. Running servers load it within a second or two.
    """
    import msgspec

    from cadml_hostapp.routes.model.schemas import ModelInfoForAdmin

    with options.runtime() as runtime:
        info = runtime.models.registry.reload(path, sha256)
    if as_json:
        print_json(ModelInfoForAdmin(**msgspec.structs.asdict(info)))
        return
    out.print(f"{escape(info.path)} passed {info.mode} mode and now serves (load number {info.load_seq}).")
    for warning in info.warnings:
        out.print(f"  [yellow]note[/] {escape(warning)}")
