"""``cadml plugins test``: the scorecard of an installed plugin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cadml_hostapp.cli.console import EXIT_REFUSED, escape, json_option, out, print_json, reports_errors

if TYPE_CHECKING:
    from cadml_hostapp.authoring.scorecard import Scorecard

_MARKS = {"passed": "[green]passed[/]", "failed": "[bold red]FAILED[/]", "skipped": "[yellow]skipped[/]"}


@click.command()
@click.argument("name")
@click.option(
    "--sample",
    type=click.Path(path_type=Path),
    help="A good file of the format that the plugin reads.  [default: tests/sample.* of this folder]",
)
@click.option("--badge", type=click.Path(path_type=Path), help="Write an SVG badge to this file.")
@json_option
@reports_errors
def test(name: str, sample: Path | None, badge: Path | None, as_json: bool) -> None:
    """Try the installed plugin NAME, and print a scorecard. Exit 1 where a check fails.

    Runs the conformance kit on everything that it registers, reads damaged copies of a sample where it
    reads a format, and times it beside a built-in plugin.
    """
    from cadml_hostapp.authoring.scorecard import score

    card = score(name, sample or next(iter(sorted(Path("tests").glob("sample.*"))), None))
    if badge is not None:
        from cadml_hostapp.authoring.badge import badge_svg

        badge.write_text(badge_svg(len(card.checks) - card.failed, len(card.checks)), encoding="utf-8")
    if as_json:
        print_json({"failed": card.failed, **_plain(card)})
    else:
        _show(card)
    sys.exit(EXIT_REFUSED if card.failed else 0)


def _plain(card: Scorecard) -> dict[str, object]:
    import msgspec

    answer: dict[str, object] = msgspec.to_builtins(card)
    return answer


def _show(card: Scorecard) -> None:
    out.print(f"[bold]{escape(card.plugin)}[/] ({escape(card.distribution)} {escape(card.version)})")
    for area in ("contract", "robustness", "speed"):
        checks = [check for check in card.checks if check.area == area]
        if checks:
            out.print(f"\n{area}")
        for check in checks:
            detail = f": {escape(check.detail)}" if check.detail else ""
            out.print(f"  {_MARKS[check.outcome]}  {escape(check.subject)}: {escape(check.name)}{detail}")
    if not card.checks:
        out.print("There is no kit for what this plugin adds; its own tests must do.")
        return
    passed = sum(check.outcome == "passed" for check in card.checks)
    out.print(f"\n{passed} of {len(card.checks)} passed" + (f", {card.failed} failed" if card.failed else ""))
