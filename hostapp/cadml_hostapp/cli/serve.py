"""``cadml serve``: the HTTP server."""

from __future__ import annotations

import os
from pathlib import Path

import rich_click as click
from rich.markup import escape

from cadml_hostapp.cli.console import Options, out, reports_errors

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


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
    _prepare_shared_metrics()
    from cadml_hostapp import server as serving
    from cadml_hostapp.http.auth import KeyFile, with_keys

    named = {"host": host, "port": port, "server_workers": workers, "log_format": log_format}
    settings = options.settings(**named, **({"data_dir": data_dir} if data_dir else {}))
    if options.config:  # worker processes read their settings themselves
        os.environ["CADML_CONFIG"] = str(options.config.absolute())
    fresh = KeyFile(settings.data_path).load() is None
    configured = bool(settings.api_keys and settings.admin_token)
    with serving.bind(settings) as listener:
        complete = with_keys(settings)
        shown = settings.host if ":" not in settings.host else f"[{settings.host}]"
        address = f"http://{shown}:{listener.getsockname()[1]}"
        out.print(f"cadml serves [bold]{address}[/]  (documentation: {address}/docs)")
        if not configured:
            path = KeyFile(settings.data_path).path
            if fresh:
                if not settings.api_keys:
                    out.print(f"  API key      {escape(complete.api_keys[0])}  (header X-API-Key)")
                if not settings.admin_token:
                    out.print(f"  admin token  {escape(complete.admin_token)}  (header X-Admin-Token)")
                out.print(f"  Both are kept in {escape(str(path))}; `cadml keys` shows them again.")
            else:
                out.print(f"  keys as before, in {escape(str(path))}; `cadml keys` shows them")
        out.file.flush()
        serving.run(complete, listener)


def _prepare_shared_metrics() -> None:
    """Make or empty the folder in which processes share their metrics, before the first metric is made."""
    if named := os.environ.get(MULTIPROCESS):
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.db"):
            left.unlink(missing_ok=True)
