"""Loading plugins: each rule shown with plugins that exist only in this test."""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from cadml_core.errors import NotFound, PluginUnavailable
from cadml_core.plugins import hookspecs
from cadml_core.plugins.hookspecs import ENTRY_POINT_GROUP
from cadml_core.plugins.loader import LoadedPlugins, load_plugins, require_chosen
from cadml_core.plugins.records import PluginRecord
from cadml_core.plugins.registry import KINDS, Kind, Registry, named
from cadml_core.settings import Settings

ADAPTER = """
from cadml_core import hookimpl

class Adapter:
    name, version, suffixes, media_types = {name!r}, "1", (".x",), ("model/x",)
    def sniff(self, head): return False
    def read(self, path, limits): raise AssertionError

@hookimpl
def cadml_format_adapters(): return [Adapter()]
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path, whose modules are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if (tmp_path / f"{name}.py").exists():
            del sys.modules[name]


class Distribution:
    """Just enough of importlib.metadata.Distribution: a name and a version."""

    def __init__(self, name: str) -> None:
        self.name, self.version = name, "1.2"


def install(site: Path, name: str, source: str, *, dist: str, group: str = ENTRY_POINT_GROUP) -> EntryPoint:
    """Write a module and return the entry point that a wheel of it would have."""
    module = f"{dist.replace('-', '_')}_{name.replace('-', '_')}"
    (site / f"{module}.py").write_text(source, encoding="utf-8")
    entry = EntryPoint(name=name, value=module, group=group)
    vars(entry).update(dist=Distribution(dist))
    return entry


def by_name(loaded: LoadedPlugins) -> dict[str, PluginRecord]:
    """The records by entry-point name."""
    return {record.name: record for record in loaded.records}


def settings(**values: Any) -> Settings:
    """Settings with these values and defaults elsewhere."""
    return Settings(**values)


def test_a_plugin_registers_what_it_provides(site: Path) -> None:
    """A loaded plugin's record says what it is, and the registry holds its object."""
    entry = install(site, "shape", ADAPTER.format(name="shape"), dist="their-shape")
    loaded = load_plugins(settings(), [entry])
    record = by_name(loaded)["shape"]
    assert (record.status, record.distribution, record.version) == ("loaded", "their-shape", "1.2")
    assert (record.kinds, record.provides) == (("format adapter",), ("shape",))
    assert record.import_seconds > 0
    assert list(loaded.registry.formats) == ["shape"]


@pytest.mark.parametrize("order", [1, -1])
def test_order_never_decides(site: Path, order: int) -> None:
    """However the environment lists them, the same plugins give the same records."""
    entries = [install(site, name, ADAPTER.format(name=name), dist=f"d-{name}") for name in ("b", "a", "c")]
    loaded = load_plugins(settings(), entries[::order])
    assert [record.name for record in loaded.records] == ["a", "b", "c"]
    assert list(loaded.registry.formats) == ["a", "b", "c"]


def failures_counted(plugin: str) -> float:
    """How often a plugin failed to load so far."""
    return REGISTRY.get_sample_value("plugin_load_failures_total", {"plugin": plugin}) or 0.0


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError('broken on purpose')",
        "import sys; sys.exit('broken on purpose')",
        "import no_such_module_anywhere",
        "def broken on purpose",
    ],
)
def test_a_plugin_that_fails_to_import_harms_nobody(site: Path, source: str) -> None:
    """Its record holds error, traceback and hint, and it is counted; the other plugins load."""
    broken = install(site, "broken", source, dist="their-broken")
    good = install(site, "good", ADAPTER.format(name="good"), dist="their-good")
    before = failures_counted("broken")
    loaded = load_plugins(settings(), [broken, good])
    assert failures_counted("broken") == before + 1
    assert failures_counted("good") == 0
    record = by_name(loaded)["broken"]
    assert record.status == "failed"
    assert record.error
    assert "Traceback" in (record.traceback or "")
    assert "their-broken" in (record.hint or "")
    assert list(loaded.registry.formats) == ["good"]


def test_a_disabled_plugin_is_never_imported(site: Path) -> None:
    """Blocked means that not a line of it runs."""
    entry = install(site, "loud", "raise AssertionError('imported')", dist="their-loud")
    record = by_name(load_plugins(settings(plugins_disable=("loud",)), [entry]))["loud"]
    assert (record.status, record.traceback) == ("blocked", None)


def test_safe_mode_loads_built_ins_only(site: Path) -> None:
    """A third-party plugin is blocked, a built-in loads."""
    foreign = install(site, "foreign", "raise AssertionError('imported')", dist="their-thing")
    own = install(site, "own", ADAPTER.format(name="own"), dist="cadml")
    loaded = load_plugins(settings(safe_mode=True), [foreign, own])
    assert {record.name: record.status for record in loaded.records} == {
        "own": "loaded",
        "foreign": "blocked",
    }


def test_an_unknown_hook_is_named_with_the_one_meant(site: Path) -> None:
    """A misspelt hook would register silently; here it fails the plugin."""
    source = ADAPTER.format(name="x").replace("cadml_format_adapters", "cadml_format_adapter")
    record = by_name(load_plugins(settings(), [install(site, "x", source, dist="their-x")]))["x"]
    assert record.error == "unknown hook cadml_format_adapter; did you mean cadml_format_adapters?"


def test_a_plugin_without_hooks_fails(site: Path) -> None:
    """A module that implements nothing is a mistake worth telling."""
    record = by_name(load_plugins(settings(), [install(site, "idle", "x = 1", dist="their-idle")]))["idle"]
    assert "implements no hook" in (record.error or "")


@pytest.mark.parametrize(("answer", "found"), [("None", "NoneType"), ("object()", "object")])
def test_a_hook_that_returns_no_list_is_named(site: Path, answer: str, found: str) -> None:
    """Nothing, or one bare object, in place of a list of them."""
    source = f"from cadml_core import hookimpl\n@hookimpl\ndef cadml_format_adapters(): return {answer}\n"
    record = by_name(load_plugins(settings(), [install(site, "bare", source, dist="their-bare")]))["bare"]
    assert record.error == (
        f"cadml_format_adapters returned {found}, expected an iterable, such as a list, of objects of the"
        " kind format adapter"
    )


def test_an_object_that_lacks_members_fails(site: Path) -> None:
    """What is not an adapter is refused at registration, with what it lacks."""
    source = (
        "from cadml_core import hookimpl\nclass Half: name = 'half'\n"
        "@hookimpl\ndef cadml_format_adapters(): return [Half()]\n"
    )
    record = by_name(load_plugins(settings(), [install(site, "half", source, dist="their-half")]))["half"]
    assert "media_types, read, sniff, suffixes, version" in (record.error or "")


def test_a_plugin_that_cannot_travel_fails_alone(site: Path) -> None:
    """An adapter that cannot be pickled could not reach the reader processes: only its plugin fails."""
    source = ADAPTER.format(name="stuck").replace("[Adapter()]", "[stuck]") + (
        "\nstuck = Adapter()\nstuck.key = lambda: 0\n"
    )
    good = install(site, "good", ADAPTER.format(name="good"), dist="their-good")
    loaded = load_plugins(settings(), [install(site, "stuck", source, dist="their-stuck"), good])
    assert "cannot be sent to the reader processes" in (by_name(loaded)["stuck"].error or "")
    assert list(loaded.registry.formats) == ["good"]


def test_two_distributions_with_one_plugin_name_both_fail(site: Path) -> None:
    """Neither wins by order; both distributions are named; a setting decides."""
    entries = [install(site, "same", ADAPTER.format(name="same"), dist=dist) for dist in ("one", "two")]
    loaded = load_plugins(settings(), entries)
    assert not loaded.registry.formats
    for record in loaded.records:
        assert record.status == "failed"
        assert "one and two" in (record.error or "")
    decided = load_plugins(settings(plugins_prefer={"same": "two"}), entries)
    assert {record.distribution: record.status for record in decided.records} == {
        "one": "blocked",
        "two": "loaded",
    }


def test_two_objects_with_one_name_both_fail(site: Path) -> None:
    """Also where the entry points differ and only the registered names collide."""
    entries = [
        install(site, name, ADAPTER.format(name="shared"), dist=dist)
        for name, dist in (("a", "one"), ("b", "two"))
    ]
    loaded = load_plugins(settings(), entries)
    assert not loaded.registry.formats
    assert all("'shared' is claimed by one and two" in (record.error or "") for record in loaded.records)
    decided = load_plugins(settings(plugins_prefer={"shared": "one"}), entries)
    assert list(decided.registry.formats) == ["shared"]


@pytest.fixture
def step(site: Path) -> EntryPoint:
    """A built-in plugin called ``step`` that registers the format ``step``."""
    return install(site, "step", ADAPTER.format(name="step"), dist="cadml")


SEVERAL = (
    ADAPTER
    + """
class Other(Adapter): name = "other"

@hookimpl(specname="cadml_format_adapters")
def others(): return [Other()]
"""
)


@pytest.mark.parametrize(
    ("entry_name", "object_name"), [("step", "step"), ("step", "foreign"), ("foreign", "step")]
)
def test_a_built_in_is_never_displaced(
    site: Path, step: EntryPoint, entry_name: str, object_name: str
) -> None:
    """Whether plugin or object has its name, the built-in stays; the newcomer says which setting helps."""
    newcomer = install(site, entry_name, ADAPTER.format(name=object_name), dist="their-step")
    loaded = load_plugins(settings(), [newcomer, step])
    records = {record.distribution: record for record in loaded.records}
    assert records["cadml"].status == "loaded"
    assert list(loaded.registry.formats) == ["step"]
    assert type(loaded.registry.formats["step"]).__module__ == "cadml_step"
    failed = records["their-step"]
    assert (failed.status, failed.kinds, failed.provides) == ("failed", (), ())
    assert "'step' is built in" in (failed.error or "")
    assert (failed.hint or "").endswith('put under [plugins.prefer] in cadml.toml: step = "their-step"')


@pytest.mark.parametrize("entry_name", ["step", "foreign"])
def test_the_settings_can_replace_a_built_in(site: Path, step: EntryPoint, entry_name: str) -> None:
    """With ``[plugins.prefer]`` the third-party plugin is used, and the built-in one is blocked."""
    newcomer = install(site, entry_name, ADAPTER.format(name="step"), dist="their-step")
    loaded = load_plugins(settings(plugins_prefer={"step": "their-step"}), [newcomer, step])
    assert {record.distribution: record.status for record in loaded.records} == {
        "cadml": "blocked",
        "their-step": "loaded",
    }
    assert type(loaded.registry.formats["step"]).__module__ == f"their_step_{entry_name}"


@pytest.mark.parametrize("options", [{}, {"safe_mode": True}])
def test_a_preference_that_cannot_be_followed_costs_nothing(
    site: Path, step: EntryPoint, options: dict[str, Any]
) -> None:
    """Where the preferred distribution is not installed, or safe mode blocks it, the built-in stays."""
    candidates = [step]
    if options:
        candidates.append(install(site, "step", ADAPTER.format(name="step"), dist="their-step"))
    loaded = load_plugins(settings(plugins_prefer={"step": "their-step"}, **options), candidates)
    assert list(loaded.registry.formats) == ["step"]


def test_a_plugin_fails_as_a_whole(site: Path, step: EntryPoint) -> None:
    """Of a plugin that registers two objects, one with a built-in's name, neither is used; it says so."""
    newcomer = install(site, "several", SEVERAL.format(name="step"), dist="their-step")
    loaded = load_plugins(settings(), [newcomer, step])
    assert list(loaded.registry.formats) == ["step"]
    assert "nothing of this plugin is used, other neither" in (by_name(loaded)["several"].error or "")


def test_two_newcomers_do_not_displace_a_built_in_either(site: Path, step: EntryPoint) -> None:
    """Each is told about the built-in, which stays; a loser claims nothing from others any more."""
    newcomers = [
        install(site, "a", SEVERAL.format(name="step"), dist="one"),
        install(site, "b", ADAPTER.format(name="step"), dist="two"),
        install(site, "c", ADAPTER.format(name="other"), dist="three"),
    ]
    loaded = load_plugins(settings(), [*newcomers, step])
    assert {record.name: record.status for record in loaded.records} == {
        "a": "failed",
        "b": "failed",
        "c": "loaded",
        "step": "loaded",
    }
    assert list(loaded.registry.formats) == ["other", "step"]


def test_one_plugin_with_two_objects_of_one_name_fails(site: Path) -> None:
    """Which of the two is meant cannot be known."""
    entry = install(site, "twice", SEVERAL.format(name="other"), dist="their-twice")
    record = by_name(load_plugins(settings(), [entry]))["twice"]
    assert record.error == "registers two objects of the kind format adapter named 'other'"


def test_an_installed_plugin_cannot_take_a_format_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a wheel whose entry point is called ``step``, the built-in adapter still reads STEP files."""
    info = tmp_path / "their_step-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-step\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cadml.v1]\nstep = their_step\n")
    (tmp_path / "their_step.py").write_text(ADAPTER.format(name="step"))
    monkeypatch.syspath_prepend(tmp_path)
    loaded = load_plugins(settings())
    assert type(loaded.registry.formats["step"]).__module__ == "cadml_plugins.formats.kernel.step"
    (failed,) = (record for record in loaded.records if record.distribution == "their-step")
    assert (failed.status, failed.version) == ("failed", "1.0")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_kind_has_a_hook_and_a_place(kind: Kind) -> None:
    """Hook, contract and registry field of a kind name the same type; no hook or field is left over."""
    hook = getattr(hookspecs, kind.hook)
    for hinted in (typing.get_type_hints(hook)["return"], typing.get_type_hints(Registry)[kind.field]):
        assert typing.get_args(hinted) == (kind.contract,)
    assert {name for name in vars(hookspecs) if name.startswith("cadml_")} == set(KINDS)
    assert set(Registry.__struct_fields__) == {kind.field for kind in KINDS.values()}


def test_a_plugin_of_another_generation_is_not_imported(site: Path) -> None:
    """A plugin for cadml.v2 is reported as such."""
    entry = install(site, "new", "raise AssertionError('imported')", dist="their-new", group="cadml.v2")
    record = by_name(load_plugins(settings(), [entry]))["new"]
    assert record.status == "incompatible"
    assert record.error == "targets cadml.v2, this host speaks cadml.v1"


def test_what_the_settings_chose_must_be_there(site: Path) -> None:
    """A chosen version that is missing stops the start and says what there is and why not."""
    loaded = load_plugins(settings(), [install(site, "v9", "raise RuntimeError('no')", dist="their-v9")])
    with pytest.raises(PluginUnavailable, match=r"FEATURE_VERSION=v9: .*their-v9 failed"):
        require_chosen(loaded.registry, settings(feature_version="v9"))


def test_a_name_that_a_caller_gives_is_found_or_the_callers_mistake(site: Path) -> None:
    """What nobody installed is DATA_NOT_FOUND, with a list; a plugin that failed is PLUGIN_UNAVAILABLE."""
    entries = [
        install(site, "x", ADAPTER.format(name="good"), dist="one"),
        install(site, "torn", "raise RuntimeError('no')", dist="two"),
    ]
    formats = load_plugins(settings(), entries).registry.formats
    assert formats.named("good") is formats["good"]
    for table in (formats, dict(formats)):
        with pytest.raises(NotFound, match="no format adapter 'best'; installed: good") as caught:
            named(table, "format adapter", "best", stage="extract")
        assert (caught.value.code, caught.value.stage) == ("DATA_NOT_FOUND", "extract")
    with pytest.raises(PluginUnavailable, match=r"'torn' .*two failed: RuntimeError: no"):
        formats.named("torn")


def test_the_built_ins_load_and_satisfy_the_defaults() -> None:
    """What this distribution ships loads without a failure, and the default settings find all they chose."""
    loaded = load_plugins(settings(safe_mode=True))
    own = [record for record in loaded.records if record.distribution == "cadml"]
    assert {record.status for record in own} == {"loaded"}
    require_chosen(loaded.registry, settings())
    assert set(loaded.registry.formats) == {"dxf", "stl", "step", "iges"}
    assert set(loaded.registry.features) == {"v1", "v2", "v3", "v4", "identity", "shape"}
    assert set(loaded.registry.policies) == {"blacklist", "audit", "whitelist"}
    assert set(loaded.registry.vectors) == {"faiss", "memory"}
