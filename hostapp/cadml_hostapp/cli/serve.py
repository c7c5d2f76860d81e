"""``cadml serve``: the HTTP server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cadml_hostapp import metrics_folder
from cadml_hostapp.cli.console import Options, escape, out, reports_errors

if TYPE_CHECKING:
    from cadml_core.settings import Settings


@click.command()
@click.option("--host", help="Address to listen on; 0.0.0.0: every one.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0: any that is free.")
@click.option("--workers", type=click.IntRange(1, 256), help="Server processes.")
@click.option("--data-dir", type=click.Path(file_okay=False), help="Where catalogue, uploads and keys live.")
@click.option("--log-format", type=click.Choice(["auto", "console", "json"]), help="How logs look.")
@click.pass_obj
@reports_errors
def serve(
    options: Options,
    host: str | None,
    port: int | None,
    workers: int | None,
    data_dir: str | None,
    log_format: str | None,
) -> None:
    """Serve the HTTP API until stopped.

    Without API_KEYS and ADMIN_TOKEN, keys are made once, kept in the data folder, and shown.
    """
    metrics_folder.prepare()  # before the imports below make the first metric
    from cadml_core.isolation.secrets import forget
    from cadml_core.settings import setting_specs
    from cadml_hostapp import server
    from cadml_hostapp.keys import KeyFile, with_keys

    named = {"host": host, "port": port, "server_workers": workers, "log_format": log_format}
    settings = options.settings(**named, **({"data_dir": data_dir} if data_dir else {}))
    fresh = KeyFile(settings.data_path).load() is None
    with server.bind(settings) as listener:
        forget(("API_KEY", *(spec.env for spec in setting_specs() if spec.secret)))
        complete = with_keys(settings)
        shown = settings.host if ":" not in settings.host else f"[{settings.host}]"
        address = f"http://{shown}:{listener.getsockname()[1]}"
        out.print(f"cadml serves [bold]{address}[/]  (documentation: {address}/docs)")
        _show_keys(settings, complete, fresh=fresh)
        sys.stdout.flush()
        server.run(complete, listener)


def _show_keys(settings: Settings, complete: Settings, *, fresh: bool) -> None:
    """Say where the keys are that were not configured; show them where they were just made."""
    if settings.api_keys and settings.admin_token:
        return
    from cadml_hostapp.keys import KeyFile

    path = escape(str(KeyFile(settings.data_path).path))
    if not fresh:
        out.print(f"  keys as before, in {path}; `cadml keys` shows them")
        return
    if not settings.api_keys:
        out.print(f"  API key      {escape(complete.api_keys[0])}  (header X-API-Key)")
    if not settings.admin_token:
        out.print(f"  admin token  {escape(complete.admin_token)}  (header X-Admin-Token)")
    out.print(f"  Both are kept in {path}; `cadml keys` shows them again.")
