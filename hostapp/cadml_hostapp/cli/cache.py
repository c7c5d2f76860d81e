"""``cadml cache``: the feature cache of the servers on a catalogue: its state, size and warming."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cadml_hostapp.cli.console import Options, escape, json_option, out, print_json, reports_errors

if TYPE_CHECKING:
    from cadml_core.intake.cache_answers import Applied, CacheState


@click.group()
def cache() -> None:
    """Watch, size and warm the feature cache of every server on the catalogue."""


@cache.command()
@json_option
@click.pass_obj
@reports_errors
def status(options: Options, as_json: bool) -> None:
    """Show how full the caches of the running servers are, and how often they answer.

    Servers report every ten seconds.
    """
    with options.stored() as runtime:
        state = runtime.cache.state()
    if as_json:
        print_json(state)
    else:
        _show_state(state)


@cache.command()
@json_option
@click.pass_obj
@reports_errors
def tune(options: Options, as_json: bool) -> None:
    """Recommend a size, with the reasons; changes nothing."""
    with options.stored() as runtime:
        advice = runtime.cache.recommendation()
    if as_json:
        print_json(advice)
        return
    out.print(f"[bold]{advice.action.replace('_', ' ')}[/]: capacity {advice.capacity:,}")
    for reason in advice.reasons:
        out.print(f"  {escape(reason)}")


@cache.command()
@click.option(
    "--capacity", type=click.IntRange(1, 10_000_000), help="Vectors; the recommendation by default."
)
@click.option("--ttl", type=click.IntRange(0, 31_536_000), help="Seconds; 0: no limit; as now by default.")
@click.option("--dry-run", is_flag=True, help="Show what would change.")
@json_option
@click.pass_obj
@reports_errors
def apply(options: Options, capacity: int | None, ttl: int | None, dry_run: bool, as_json: bool) -> None:
    """Set the size of the cache on every server; it can be rolled back for five minutes by default."""
    with options.runtime() as runtime:
        applied = runtime.cache.apply(capacity=capacity, ttl_seconds=ttl, dry_run=dry_run)
    if as_json:
        print_json(applied)
    else:
        _show_applied(applied)


@cache.command()
@json_option
@click.pass_obj
@reports_errors
def rollback(options: Options, as_json: bool) -> None:
    """Restore the size before the last apply, on every server."""
    with options.runtime() as runtime:
        restored = runtime.cache.rollback()
    if as_json:
        print_json(restored)
        return
    limits = restored.restored
    out.print(f"Every server keeps {limits.capacity:,} vectors for {_seconds(limits.ttl_seconds)} again.")


@cache.command()
@json_option
@click.pass_obj
@reports_errors
def prewarm(options: Options, as_json: bool) -> None:
    """Have every running server load what was asked for lately.

    The figures are those of a server whose cache is empty.
    """
    with options.runtime() as runtime:
        report = runtime.cache.prewarm()
    if as_json:
        print_json(report)
        return
    sources = ", ".join(f"{count} {source.replace('_', ' ')}" for source, count in report.by_source.items())
    out.print(
        f"Of {report.requested} vectors {report.warmed} can be loaded ({sources});"
        f" {report.skipped} skipped, {report.errors} failed. Running servers load them within seconds."
    )


def _show_state(state: CacheState) -> None:
    out.print(
        f"{state.size:,} vectors in {state.processes} process(es); each keeps {state.capacity:,}"
        f" for {_seconds(state.ttl_seconds)}"
    )
    ratio = "no lookups yet" if state.hit_ratio is None else f"{state.hit_ratio:.1%} hits"
    out.print(f"{ratio}: {state.hits:,} hits, {state.misses:,} misses, {state.evictions:,} evictions")
    if state.snapshot is not None:
        out.print(
            f"Applied at {state.snapshot.applied_at}; can be rolled back until {state.snapshot.expires_at}"
        )


def _show_applied(applied: Applied) -> None:
    before, after = applied.before, applied.after
    verb = "would keep" if applied.dry_run else "now keeps"
    out.print(
        f"Every server {verb} {after.capacity:,} vectors for {_seconds(after.ttl_seconds)}"
        f" (before: {before.capacity:,} for {_seconds(before.ttl_seconds)})"
    )
    for reason in applied.reasons:
        out.print(f"  {escape(reason)}")
    if applied.snapshot is not None:
        out.print(f"`cadml cache rollback` restores the former until {applied.snapshot.expires_at}")


def _seconds(ttl: int) -> str:
    return f"{ttl:,} s" if ttl else "as long as they are used"
