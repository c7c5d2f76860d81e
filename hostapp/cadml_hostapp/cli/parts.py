"""``cadml parts``: list, show and remove what is in the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cadml_hostapp.cli.console import (
    EXIT_REFUSED,
    Options,
    escape,
    json_option,
    out,
    print_json,
    reports_errors,
)
from cadml_hostapp.cli.hits import print_part

if TYPE_CHECKING:
    from cadml_core.catalog.records import Part
    from cadml_hostapp.routes.parts.schemas import PartDetail

_SHOWN_GONE = 20


@click.group()
def parts() -> None:
    """List the parts of the catalogue, show one, or remove what is gone."""


@parts.command("list")
@click.option("--text", help="Only parts in whose names, path, facts or layers every word occurs.")
@click.option("--format", "format_name", help="Only parts of this format.")
@click.option("--material", help="Only parts of this material.")
@click.option("--project", help="Only parts of this project.")
@click.option("--label", help="Only parts with this label.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most parts shown.")
@click.option("--after", type=click.IntRange(0), default=0, help="The cursor that the page before gave.")
@json_option
@click.pass_obj
@reports_errors
def list_parts(
    options: Options,
    text: str | None,
    format_name: str | None,
    material: str | None,
    project: str | None,
    label: str | None,
    limit: int,
    after: int,
    as_json: bool,
) -> None:
    """List the parts, oldest first, with their short ids."""
    from cadml_core.catalog.records import PartFilter

    which = PartFilter(format=format_name, material=material, project=project, label=label, text=text)
    with options.stored() as runtime:
        found = runtime.catalog.parts(which, after=after, limit=limit + 1)
        total = len(runtime.catalog.rows(which))
        everything = len(runtime.catalog.rows(PartFilter()))
    page, cursor = found[:limit], str(found[limit - 1].row) if len(found) > limit else None
    if as_json:
        from cadml_hostapp.routes.parts.schemas import PartPage, part_answer

        print_json(PartPage([part_answer(part) for part in page], cursor))
        return
    for part in page:
        print_part(part)
    if not page:
        _tell_none(everything, which != PartFilter())
        return
    more = f"; {len(page):,} shown, the next: --after {cursor}" if cursor else ""
    out.print(f"{total:,} parts{more}")


@parts.command()
@click.argument("part", metavar="ID-or-PATH")
@json_option
@click.pass_obj
@reports_errors
def show(options: Options, part: str, as_json: bool) -> None:
    """Show a part: its facts, what its file holds, and its feature versions."""
    from cadml_core.catalog.lookup import part_meant
    from cadml_hostapp.routes.parts.schemas import detail_of

    with options.stored() as runtime:
        detail = detail_of(runtime.catalog, part_meant(runtime.catalog, part).id)
    if as_json:
        print_json(detail)
    else:
        _show(detail)


@parts.command()
@click.argument("ids", metavar="ID-or-PATH...", nargs=-1, required=True)
@json_option
@click.pass_obj
@reports_errors
def remove(options: Options, ids: tuple[str, ...], as_json: bool) -> None:
    """Remove parts from the catalogue. Files on disk stay; a kept upload goes with its last part."""
    from cadml_core.catalog.lookup import part_meant
    from cadml_core.intake.prune import remove_parts

    with options.runtime(create_catalogue=False) as runtime:
        found = {part.id: part for part in (part_meant(runtime.catalog, text) for text in ids)}
        remove_parts(runtime.intake, list(found.values()))
    if as_json:
        print_json({"removed": list(found)})
    else:
        out.print(f"{len(found):,} parts removed from the catalogue; files on disk are as they were.")


@parts.command()
@json_option
@click.pass_obj
@reports_errors
def check(options: Options, as_json: bool) -> None:
    """Look for damage in the catalogue and the kept uploads. Changes nothing; exit 1 where there is any.

    To mend it, restore a backup; or remove the parts and ingest their files again.
    """
    from cadml_core.catalog.checksums import damages

    with options.stored() as runtime:
        found = list(damages(runtime.catalog, runtime.blobs))
    if as_json:
        print_json([damage._asdict() for damage in found])
    else:
        for damage in found:
            out.print(f"[red]{damage.what}[/] {escape(damage.name)}: {escape(damage.reason)}")
        out.print(f"{len(found):,} damaged" if found else "Nothing is damaged.")
    if found:
        raise SystemExit(EXIT_REFUSED)


@parts.command()
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Remove them; without this nothing is changed.")
@click.option("--even-all", is_flag=True, help="Also where not one file of the folder's parts is there.")
@json_option
@click.pass_obj
@reports_errors
def prune(options: Options, root: Path, yes: bool, even_all: bool, as_json: bool) -> None:
    """Remove the parts below the folder ROOT whose file is gone from the disk.

    Says what it would remove; with --yes it does. Never removes a file, nor a part whose file may be there.
    """
    from cadml_core.intake import prune as pruning

    with options.runtime(create_catalogue=False) as runtime:
        gone = pruning.find_gone(runtime.intake, root)
        if yes:
            pruning.prune(runtime.intake, gone, even_all=even_all)
    if as_json:
        print_json(
            {
                "root": gone.root,
                "gone": [{"id": part.id, "path": part.path} for part in gone.parts],
                "present": gone.present,
                "unread_gone": gone.unread,
                "removed": yes,
            }
        )
    else:
        _tell_gone(gone.parts, gone.present, removed=yes)


def _tell_none(everything: int, filtered: bool) -> None:
    if not everything:
        out.print("The catalogue is empty; `cadml ingest FOLDER` fills it.")
    elif filtered:
        out.print(f"The filter excluded all {everything:,} parts.")
    else:
        out.print("No more parts.")


def _tell_gone(gone: tuple[Part, ...], present: int, *, removed: bool) -> None:
    for part in gone[:_SHOWN_GONE]:
        print_part(part)
    if len(gone) > _SHOWN_GONE:
        out.print(f"... and {len(gone) - _SHOWN_GONE:,} more")
    done = "removed" if removed else "would be removed (--yes removes them)"
    told = f"{len(gone):,} parts whose file is gone {done}" if gone else "No part's file is gone"
    out.print(f"{told}; {present:,} parts below this folder stay.")


def _show(detail: PartDetail) -> None:
    shown: dict[str, Any] = {
        name: getattr(detail, name)
        for name in ("id", "name", "format", "path", "material", "project", "label", "created", "updated")
    }
    document = detail.document
    if document is not None:
        if document.extents is not None:
            shown["extents"] = " x ".join(f"{length:.6g}" for length in document.extents) + " mm"
        shown["entities"] = ", ".join(f"{count:,} {kind}" for kind, count in document.entity_counts.items())
        shown["layers"] = ", ".join(document.layers)
    shown["vectors"] = ", ".join(f"{version} ({source})" for version, source in detail.vectors.items())
    for name, value in {**shown, **detail.meta}.items():
        if value not in (None, ""):
            out.print(f"[bold]{escape(str(name)):10}[/] {escape(str(value))}")
    for warning in detail.warnings:
        out.print(f"[yellow]note[/]       {escape(warning)}")
