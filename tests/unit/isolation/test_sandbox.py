"""Every right that a confined process should not have is gone; each is tried out in a real one."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from cadml_core.isolation import inspection
from cadml_core.isolation.ends import WorkerDied
from cadml_core.isolation.limits import MIB, Limits
from cadml_core.isolation.processes import ForkServerProcess, WorkerSpec
from cadml_core.isolation.sandbox import landlock, seccomp
from cadml_core.isolation.sandbox.entering import offers
from cadml_core.isolation.sandbox.libc import call, prctl
from tests.integration.command import COMMAND
from tests.unit.isolation.deeds import Deeds

Do = Callable[[str, object], tuple[bool, str]]
needs_landlock = pytest.mark.skipif(not offers(landlock.version), reason="the kernel has no Landlock")
needs_seccomp = pytest.mark.skipif(
    not offers(seccomp.require), reason="no seccomp, or an unknown architecture"
)
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="a part of Linux")


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServerProcess]:
    """Forks confined processes that do what they are told."""
    limits = Limits(seconds=30, memory=512 * MIB)
    found = ForkServerProcess(WorkerSpec(program=Deeds(), limits=limits))
    yield found
    found.close()


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """A folder that the process was asked to read, with a file."""
    folder = tmp_path / "asked"
    folder.mkdir()
    (folder / "part").write_text("part")
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file beside it, which it was not."""
    path = tmp_path / "secret"
    path.write_text("secret")
    return path


@pytest.fixture
def do(server: ForkServerProcess, asked: Path) -> Iterator[Do]:
    """Have a confined process do one thing after the other."""
    worker = server.fork(frozenset([os.path.realpath(asked)]))

    def ask(deed: str, argument: object = "") -> tuple[bool, str]:
        body = worker.ask(msgspec.msgpack.encode((deed, str(argument)))).body
        assert body is not None
        return msgspec.msgpack.decode(body, type=tuple[bool, str])

    yield ask
    worker.close()


@pytest.fixture
def victim() -> Iterator[int]:
    """A process of the same user with a secret in its environment."""
    process = subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], "TOKEN": "secret"})
    yield process.pid
    process.kill()
    process.wait()


def test_it_does_what_it_is_for(do: Do, asked: Path) -> None:
    """It reads what it was asked to, uses its temporary folder, and starts threads."""
    assert do("read", asked / "part") == (True, "part")
    assert do("listing", asked) == (True, "part")
    assert do("scratch", "") == (True, "own")
    assert do("thread", "") == (True, "ran")
    assert do("read", os.__file__)[0]


@needs_landlock
def test_it_opens_no_file_outside(do: Do, outside: Path) -> None:
    """Neither beside what it was asked for, nor in the system; a second name does not help."""
    for path in (outside, "/etc/passwd", Path.home() / ".bashrc", "/proc/self/environ"):
        assert do("read", path) == (False, "PermissionError" if Path(path).exists() else "FileNotFoundError")
    assert do("listing", outside.parent) == (False, "PermissionError")
    assert do("link", outside)[0] is False


@needs_landlock
def test_it_writes_nothing_outside(do: Do, asked: Path, outside: Path) -> None:
    """What it was asked to read cannot be changed, and nothing is made, not even in shared folders."""
    for path in (asked / "part", outside, asked / "new", "/tmp/cadml-new", "/dev/shm/cadml-new"):
        assert do("write", path)[0] is False
        assert do("remove", path)[0] is False
    assert ((asked / "part").read_text(), outside.read_text()) == ("part", "secret")
    assert not Path("/tmp/cadml-new").exists()


@needs_seccomp
def test_it_changes_nothing_about_a_file_without_opening_it(do: Do, outside: Path) -> None:
    """Landlock knows nothing of modes, times, owners and attributes; nor of watching a folder."""
    before = outside.stat()
    assert do("change_unopened", outside) == (False, "PermissionError")
    after = outside.stat()
    assert (after.st_mode, after.st_mtime, after.st_uid) == (before.st_mode, before.st_mtime, before.st_uid)
    assert do("watch", outside.parent) == (False, "PermissionError")


@needs_seccomp
def test_it_has_no_network(do: Do, tmp_path: Path) -> None:
    """Neither TCP nor a socket in the file system, with a listener that would answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "s"))
        other.listen()
        assert do("connect", f"127.0.0.1:{listener.getsockname()[1]}") == (False, "PermissionError")
        assert do("unix_socket", tmp_path / "s") == (False, "PermissionError")


@needs_seccomp
@pytest.mark.parametrize("deed", ["datagram", "send_from_own"])
def test_it_sends_nothing_to_a_socket_without_connecting(do: Do, tmp_path: Path, deed: str) -> None:
    """The log of the system, for one, takes what is sent to a name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(tmp_path / "d"))
        other.setblocking(False)
        assert do(deed, tmp_path / "d") == (False, "PermissionError")
        with pytest.raises(BlockingIOError):
            other.recv(9)


@needs_seccomp
@pytest.mark.parametrize(
    "deed", ["fork_bomb", "program", "replace_itself", "clone", "leave_group", "outlive"]
)
def test_it_starts_no_process(do: Do, deed: str) -> None:
    """No fork, no program, and no way out of the group that is killed as a whole."""
    assert do(deed, "") == (False, "PermissionError")


@needs_seccomp
@pytest.mark.parametrize("deed", ["attach", "read_memory", "kill", "signal_by_file", "renice", "limit_other"])
def test_it_does_not_reach_other_processes(do: Do, victim: int, deed: str) -> None:
    """Of the same user neither memory, nor signals, nor limits."""
    assert do(deed, victim) == (False, "PermissionError")
    assert do("kill_all", "") == (False, "PermissionError")


@needs_seccomp
@pytest.mark.parametrize("deed", ["ring", "namespace"])
def test_it_does_not_reach_the_kernel_by_side_doors(do: Do, deed: str) -> None:
    """Interfaces that would get around the filter, or give back what was given up."""
    assert do(deed, "") == (False, "PermissionError")


@needs_linux
def test_it_does_not_see_its_parents_environment(do: Do, server: ForkServerProcess, victim: int) -> None:
    """Neither the fork server's, nor the host's, nor that of any process of the same user."""
    if not offers(landlock.version):
        pytest.skip("the kernel has no Landlock")
    for pid in (server.pid, os.getpid(), victim):
        assert do("read", f"/proc/{pid}/environ") == (False, "PermissionError")


def test_its_own_environment_is_almost_empty(do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what finds programs and libraries, and what limits these."""
    found = do("environment", "")[1].split(",")
    known = {"PATH", "LANG", "LC_CTYPE", "TZ", "TMPDIR", "HOME", "LD_LIBRARY_PATH", "CASROOT"}
    threads = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"}
    assert set(found) <= known | threads | {"PYTHONDONTWRITEBYTECODE", "JOBLIB_MULTIPROCESSING"}


@needs_linux
def test_its_memory_limit_is_hard(do: Do) -> None:
    """It can neither lift the limit nor, by raising it as far as it goes, take 2 GiB of 512 MiB."""
    assert do("raise_limit", "")[0] is False
    assert do("hoard", "") == (False, "MemoryError")


@needs_seccomp
@pytest.mark.parametrize("deed", ["hoard_shared", "hoard_file"])
def test_it_has_no_memory_that_is_not_counted(do: Do, deed: str) -> None:
    """Shared memory is not private, and memory behind a descriptor belongs to no process."""
    assert do(deed, "") == (False, "PermissionError")


@needs_linux
def test_it_ends_where_it_starts_threads_without_end(do: Do) -> None:
    """Some are a library's; with thousands the machine would have none left for others."""
    assert do("threads", "200") == (True, "started")
    with pytest.raises(WorkerDied):
        do("threads", "20000")


def test_it_holds_only_its_own_connection(do: Do) -> None:
    """Neither another worker's, nor what the fork server is woken by, nor what it is told by."""
    assert do("sockets", "") == (True, "1")


def test_the_inspection_finds_what_the_kernel_enforces() -> None:
    """Every layer that the kernel has is active in a real process, and the others say why they are not."""
    layers = {layer.name: layer for layer in inspection.inspect()}
    assert set(layers) == set(inspection.LAYERS)
    asked = {"landlock": landlock.version, "seccomp": seccomp.require}
    for name, by in inspection.LAYERS.items():
        if sys.platform == "linux" and all(offers(asked[one]) for one in by if one in asked):
            assert layers[name].active, layers[name]
        assert layers[name].detail


def test_a_missing_layer_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel lacks something, the report says what and why instead of passing over it."""

    def missing() -> int:
        raise OSError(38, "this kernel was built without Landlock")

    monkeypatch.setattr(inspection, "_ask", lambda: ["network"])
    monkeypatch.setitem(inspection._OFFERED_BY, "landlock", missing)
    layers = {layer.name: layer for layer in inspection.inspect.__wrapped__()}
    assert not layers["files"].active
    assert layers["files"].detail == "this kernel was built without Landlock"
    assert layers["network"].active


@needs_linux
def test_a_process_is_confined_by_the_layers_that_there_are() -> None:
    """Without Landlock and seccomp it goes on, with no capabilities and no new privileges."""
    program = (
        "from cadml_core.isolation.sandbox import entering, landlock, privileges, seccomp\n"
        "def missing(): raise OSError(38, 'none')\n"
        "landlock.version = seccomp.require = missing\n"
        "from cadml_core.isolation.sandbox.installation import installation\n"
        "entering.enter(installation(), [], [])\n"
        "assert privileges.given_up()\n"
        "print(open('/etc/hosts').name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "/etc/hosts"


@needs_seccomp
@needs_landlock
@pytest.mark.parametrize(
    ("layer", "lost", "reason"),
    [
        ("landlock", {"files", "writing"}, "this kernel was built without Landlock"),
        (
            "seccomp",
            {"attributes", "network", "processes", "system_calls"},
            "this kernel was built without seccomp",
        ),
    ],
)
def test_a_kernel_without_a_layer_is_served_and_told_of(layer: str, lost: set[str], reason: str) -> None:
    """`cadml doctor` works there, names each right that is left with the reason, and exits with 1."""
    script = Path(__file__).with_name("without.py")
    command = [sys.executable, str(script), layer, *COMMAND, "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    left = {one["name"]: one["detail"] for one in json.loads(done.stdout)["sandbox"] if not one["active"]}
    assert left == dict.fromkeys(lost, reason)


@needs_linux
def test_a_refused_call_is_noticed() -> None:
    """A layer that the kernel refuses is an error, never a process that believes itself confined."""
    with pytest.raises(OSError, match="Invalid argument"):
        prctl(22, 99)
    with pytest.raises(OSError, match="Bad file descriptor"):
        call("syscall", ctypes.c_long(446), ctypes.c_int(-1), ctypes.c_uint32(0))


def test_the_table_of_calls_has_no_number_twice() -> None:
    """A number under two names would be a slip of the pen."""
    from cadml_core.isolation.sandbox import syscalls

    for column, _ in syscalls.ARCHITECTURES.values():
        numbers = syscalls.denied(column)
        assert len(numbers) == len(set(numbers)) > 90
        assert max(numbers) <= syscalls.NEWEST
