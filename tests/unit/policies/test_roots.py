"""Blacklist and whitelist mode admit only the packages that models come from, whatever else is installed."""

from __future__ import annotations

from importlib.metadata import packages_distributions

import pytest

from cadml_core.contracts.policies import ConfigurablePolicy
from cadml_core.errors import InvalidSetting
from cadml_core.pickles.scan import scan_pickle
from cadml_plugins.policies._denials import deny_lists
from cadml_plugins.policies.blacklist import Blacklist
from cadml_plugins.policies.whitelist import Whitelist
from tests.unit.classifier.assemble import EMPTY_TUPLE, REDUCE, STOP, proto, stack_global

INSTALLED = sorted(name for name in packages_distributions() if name.isidentifier())


def calls(module: str, name: str) -> bytes:
    """Return a pickle that calls a global without arguments."""
    return proto(4) + stack_global(module, name) + EMPTY_TUPLE + REDUCE + STOP


@pytest.mark.parametrize("policy", [Blacklist(), Whitelist()], ids=lambda policy: policy.name)
def test_every_installed_package_is_refused_unless_models_need_it(policy: Blacklist | Whitelist) -> None:
    """No list names them: whatever the next dependency brings is refused as well, at any depth."""
    foreign = [name for name in INSTALLED if name not in deny_lists().allowed_roots]
    assert {"ezdxf", "pygments", "prometheus_client", "anyio", "OCP", "faiss"} <= set(foreign)
    for name in foreign:
        for module in (name, f"{name}.inner.part"):
            assert not policy.judge(scan_pickle(calls(module, "anything"))).allowed, module


def test_a_package_of_ones_own_needs_an_entry() -> None:
    """A package or a pair in the settings admits it in blacklist mode; the pair admits nothing else."""
    own, other = (scan_pickle(calls("mycompany.models", name)) for name in ("Classifier", "Other"))
    assert isinstance(Blacklist(), ConfigurablePolicy)
    (finding,) = Blacklist().judge(own).findings
    assert (finding.rule, finding.global_name) == ("foreign-package", "mycompany.models:Classifier")
    assert "mycompany.*" in finding.message
    pair = Blacklist().configured(("mycompany.models:Classifier",))
    assert pair.judge(own).allowed
    assert not pair.judge(other).allowed
    package = Blacklist().configured(("mycompany.*", "POP", "-numpy:matrix"))
    assert package.judge(own).allowed
    assert package.judge(other).allowed
    assert not package.judge(scan_pickle(calls("mycompany.models", "eval"))).allowed
    assert not package.judge(scan_pickle(calls("mycompanyx", "any"))).allowed


def test_whitelist_mode_takes_no_packages() -> None:
    """There, every class is named exactly."""
    policy = Whitelist().configured(("mycompany.*",))
    assert not policy.judge(scan_pickle(calls("mycompany.models", "Classifier"))).allowed


@pytest.mark.parametrize("entry", ["os.*", "subprocess.*", "requests.*", "*", ".*", "my.company.*", "-a.*"])
def test_impossible_packages_stop_the_start(entry: str) -> None:
    """The standard library and known dangers cannot be admitted, nor can everything."""
    for policy in (Blacklist(), Whitelist()):
        with pytest.raises(InvalidSetting) as caught:
            policy.configured((entry,))
        assert entry.removeprefix("-") in caught.value.message
