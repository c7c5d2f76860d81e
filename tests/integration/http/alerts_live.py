"""Provoke every alert on a server of two processes, and see a real Prometheus fire it.

    python -m tests.integration.http.alerts_live [NAME ...]     # needs prometheus on the path

The rules are ours with every duration cut to a sixtieth, and to ten seconds at least where a rate needs that
much, so that minutes pass as seconds; what they compare stays as it is, but for the age of a degradation.
Exit 1 where an alert does not fire, or one fires before it is provoked.
"""

from __future__ import annotations

import http.server
import pickle
import re
import runpy
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.integration.http import monitoring_live
from tests.integration.http.monitoring_live import HOSTILE, MONITORING, ROOT, firing, prometheus, wait_until
from tests.integration.http.server import ADMIN_HEADERS, LiveServer, tetrahedron
from tests.integration.http.turning_models import Dies

PATIENCE = 120.0
PLUGIN = '''
"""A vector backend that fails or grows on order, and a slow v4."""

import time
from pathlib import Path

from cadml_core import hookimpl
from cadml_plugins.features.v4 import V4
from cadml_plugins.vectors.memory import MemoryBackend

ORDERS = Path(__file__).parent
HELD = []


class Index:
    def __init__(self, index):
        self.index = index

    def search(self, *arguments):
        if (ORDERS / "fail").exists():
            raise RuntimeError("fails on order")
        if (ORDERS / "grow").exists() and len(HELD) < 40:
            HELD.append(b"x" * 10_000_000)
        return self.index.search(*arguments)

    def __len__(self):
        return len(self.index)

    def __getattr__(self, name):
        return getattr(self.index, name)


class Backend(MemoryBackend):
    name = "ordered"

    def open(self, *arguments, **options):
        return Index(MemoryBackend.open(self, *arguments, **options))


class Slow:
    name = "v4"
    slots = V4.slots
    needs_mesh = False
    metric = V4.metric

    def extract(self, document):
        if (ORDERS / "slow").exists():
            time.sleep(0.7)
        return V4.extract(document)

    def embed(self, values):
        return V4.embed(values)


@hookimpl
def cadml_vector_backends():
    return [Backend()]


@hookimpl
def cadml_feature_versions():
    return [Slow()]
'''


def shortened(rules: str) -> str:
    """Return rules whose minutes are seconds."""

    def seconds(found: re.Match[str]) -> str:
        value = int(found[2]) * {"m": 60, "h": 3600}[found[3]] // 60
        least = 10 if found[1] == "[" else 1
        return f"{found[1]}{max(least, value)}s"

    rules = re.sub(r"(\[|offset |for: )(\d+)([mh])\b", seconds, rules)
    return rules.replace("degraded_duration_seconds > 300", "degraded_duration_seconds > 5")


def install(folder: Path) -> None:
    """Write the plugin, and one that is broken."""
    for name, text in (("ordered", PLUGIN), ("broken", "raise RuntimeError('broken on purpose')\n")):
        about = folder / f"{name}_plugin-1.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1\n")
        (about / "entry_points.txt").write_text(f"[cadml.v1]\n{name} = {name}_plugin\n")
        (folder / f"{name}_plugin.py").write_text(text)


class Provocations:
    """One method for each alert; each is called again and again until it fires."""

    def __init__(self, server: LiveServer, orders: Path, node: Path) -> None:
        self._server = server
        self._orders = orders
        self._node = node
        self._count = 0
        self._http = server.client()
        self._http.headers.update(ADMIN_HEADERS)

    def _upload(self) -> None:
        self._count += 1
        file = {"file": (f"{self._count}.stl", tetrahedron(1.0 + self._count / 16))}
        self._http.post("/api/v1/analyze", files=file, data={"id": f"part-{self._count}"})

    def _search(self) -> None:
        vector = [1.0] * 24
        with self._server.client() as fresh:  # another connection, which the other process may take
            fresh.post("/api/v1/vectors/search", json={"vector": vector, "k": 1})

    def _reload(self, name: str) -> None:
        self._http.post("/api/v1/model/reload", json={"path": name})

    def _order(self, name: str, *, given: bool = True) -> None:
        (self._orders / name).touch() if given else (self._orders / name).unlink(missing_ok=True)

    def OpcodeWhitelistViolation(self) -> None:
        """Ask for a hostile model."""
        self._reload("hostile.pkl")

    def ModelReloadFailureSpike(self) -> None:
        """Ask for many."""
        self._reload("hostile.pkl")

    def ModelQuarantined(self) -> None:
        """Serve a model that dies when it is asked."""
        if not self._http.get("/api/v1/model/version").json().get("current"):
            self._reload("dies.pkl")
        for _ in range(10):
            self._upload()

    def LowCacheHitRatio(self) -> None:
        """Upload what was never seen."""
        self._upload()

    def V4FeatureExtractionSlow(self) -> None:
        """Extract slowly."""
        self._order("slow")
        self._upload()

    def HighMemoryGrowth(self) -> None:
        """Let the server processes grow."""
        self._order("slow", given=False)
        self._order("grow")
        self._search()

    def StressMemoryGrowth(self) -> None:
        """Show what a stress check would have left for node_exporter."""
        (self._node / "metrics").write_text('stress_memory_growth_ratio{phase="peak"} 1.7\n')

    def VectorStoreDegraded(self) -> None:
        """Let the index fail."""
        self._order("fail")
        self._search()

    def FaissRecoveryFailing(self) -> None:
        """Let every probe fail, too."""
        self._order("fail")
        self._search()

    def PluginFailed(self) -> None:
        """It is installed broken."""

    def ServerErrors(self) -> None:
        """Take the data folder away."""
        away = self._server.folder.with_name("away")
        if self._server.folder.exists():
            self._server.folder.rename(away)
        self._upload()


def serve_node(folder: Path) -> http.server.ThreadingHTTPServer:
    """Serve the folder's ``metrics`` as node_exporter would."""
    (folder / "metrics").write_text('stress_memory_growth_ratio{phase="peak"} 1.0\n')

    class Handler(http.server.SimpleHTTPRequestHandler):
        extensions_map = {"": "text/plain; version=0.0.4"}  # noqa: RUF012

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    handler: Callable[..., Any] = partial(Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def names() -> list[str]:
    """Every alert that we ship, in the order in which they are provoked."""
    check = runpy.run_path(str(ROOT / "contrib" / "scripts" / "metrics_consistency_check.py"))
    rules = check["rule_queries"](MONITORING)
    shipped = {place.split(": ")[1] for place, _, recorded in rules if recorded is None}
    ours = [name for name in vars(Provocations) if not name.startswith("_")]
    assert shipped == set(ours), shipped ^ set(ours)
    return ours


def main(chosen: list[str]) -> int:
    """Print when each alert fired; return the exit status."""
    if shutil.which("prometheus") is None:
        print("there is no prometheus on the path", file=sys.stderr)
        return 2
    monitoring_live.PATIENCE = PATIENCE
    failed = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for one in ("data/models", "prometheus", "node", "rules"):
            (folder / one).mkdir(parents=True)
        install(folder / "site")
        for file in ("alerts.yaml", "recording.yaml"):
            (folder / "rules" / file).write_text(shortened((MONITORING / file).read_text(encoding="utf-8")))
        (folder / "data" / "models" / "hostile.pkl").write_bytes(HOSTILE)
        (folder / "data" / "models" / "dies.pkl").write_bytes(pickle.dumps(Dies("nut", width=24)))
        node = serve_node(folder / "node")
        with (
            LiveServer(
                folder / "data",
                "--workers",
                "2",
                PYTHONPATH=f"{folder / 'site'}:{Path(__file__).parents[3]}",
                CADML_PLUGINS_DISABLE="step,iges,dxf,v4",
                VECTOR_STORE_BACKEND="ordered",
                FEATURE_VERSION="v4",
                FAISS_RECOVERY_INTERVAL_SECONDS="1",
                MODEL_OPCODE_MODE="whitelist",
                MODEL_OPCODE_WHITELIST="tests.integration.http.turning_models:Dies",
                CADML_LOG_LEVEL="error",
            ) as server,
            prometheus(
                folder / "prometheus",
                f"127.0.0.1:{server.port}",
                rules=folder / "rules",
                node=f"127.0.0.1:{node.server_port}",
            ) as client,
        ):
            provoke = Provocations(server, folder / "site", folder / "node")
            time.sleep(15)
            early = firing(client) - {"PluginFailed"}
            for alert in chosen or names():
                failed += [] if fires(client, alert, getattr(provoke, alert)) else [alert]
            away = server.folder.with_name("away")
            if away.exists():
                away.rename(server.folder)
        node.shutdown()
    print(f"firing before anything was provoked: {sorted(early) or 'none but PluginFailed'}")
    print(f"did not fire: {failed or 'none'}")
    return 1 if failed or early else 0


def fires(client: httpx.Client, alert: str, provoke: Callable[[], None]) -> bool:
    """Provoke an alert until it fires; say how long that took."""

    def met() -> bool:
        provoke()
        return alert in firing(client)

    try:
        seconds = wait_until(met, alert)
    except (AssertionError, httpx.HTTPError) as error:
        print(f"{alert:28} does not fire: {type(error).__name__}", flush=True)
        return False
    print(f"{alert:28} fires after {seconds:5.1f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
