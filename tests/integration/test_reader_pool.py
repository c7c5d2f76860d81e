"""The pool of reader processes against adapters that crash, hang, grow, send garbage and leave files."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import structlog
from prometheus_client import REGISTRY

from cadml_core.contracts.formats import FormatAdapter, ReadLimits
from cadml_core.documents.document import CadDocument
from cadml_core.errors import (
    CadmlError,
    LimitExceeded,
    MalformedFile,
    NotFound,
    PluginUnavailable,
    ReaderCrashed,
    ReaderTimeout,
    UnreadableInput,
)
from cadml_core.isolation import processes
from cadml_core.reading import pool as pool_module
from cadml_core.reading.identity import identify_file
from cadml_core.reading.pool import ReaderPool
from cadml_core.reading.reading import Reading
from tests.integration.evil_readers import FEATURES, FORGED, FORMATS, Evil, good

LIMITS = ReadLimits(max_seconds=30, max_memory_mb=200)


MakeSample = Callable[..., Path]
StartHost = Callable[[str], tuple[subprocess.Popen[str], list[int], Path]]


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    """One pool for all: what one test does to it must not matter to the next."""
    with ReaderPool(FORMATS, FEATURES, limits=LIMITS, workers=2) as shared:
        yield shared


@pytest.fixture(scope="module")
def hasty() -> Iterator[ReaderPool]:
    """A pool with a short time limit and one worker."""
    limits = ReadLimits(max_seconds=1.0)
    with ReaderPool(FORMATS, FEATURES, limits=limits, workers=1) as shared:
        yield shared


@pytest.fixture
def sample(tmp_path: Path) -> MakeSample:
    """Make a file for the adapter of that name."""

    def make(name: str, stem: str = "part") -> Path:
        path = tmp_path / f"{stem}.{name}"
        path.write_text(f"{name}\n")
        return path

    return make


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait for what another process does; false after ten seconds."""
    for _ in range(1000):
        if condition():
            return True
        time.sleep(0.01)
    return False


def gone(pid: int) -> bool:
    """Tell whether a process has ended; a zombie that nobody reaps here has."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def children(pid: int | None) -> list[int]:
    """Return a process and everything below it."""
    assert pid is not None
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def test_a_file_is_read_in_another_process(pool: ReaderPool, sample: MakeSample) -> None:
    """What comes back is what reading here would give, but from elsewhere."""
    reading = pool.read(sample("good"), ["flat"])
    assert reading.document.properties["pid"] != os.getpid()
    assert reading.vectors == {"flat": [1.0, 2.0]}


def test_a_warm_worker_is_used_again(hasty: ReaderPool, sample: MakeSample) -> None:
    """Processes are kept from file to file."""
    first, second = (hasty.read(sample("good")).document.properties["pid"] for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("segfault", {"reason": "signal", "signal": "SIGSEGV", "exit_code": -11}),
        ("leaves", {"reason": "exit", "signal": None, "exit_code": 3}),
        ("killed", {"reason": "memory", "signal": "SIGKILL", "exit_code": -9}),
        ("aborts", {"reason": "memory", "signal": "SIGABRT", "exit_code": -6}),
        ("unchecked", {"reason": "memory", "signal": "SIGSEGV", "exit_code": -11}),
        ("devours", {"reason": "memory", "allowed_mb": 200}),
        ("devours_quietly", {"reason": "memory", "allowed_mb": 200}),
    ],
)
def test_a_death_is_an_error_that_tells_how(
    pool: ReaderPool, sample: MakeSample, name: str, context: dict[str, Any]
) -> None:
    """PARSE_CRASHED carries the signal or the exit code, and says when memory was the reason."""
    path = sample(name)
    with pytest.raises(ReaderCrashed, match=r"while it read|needs more than 200 MiB") as caught:
        pool.read(path)
    assert caught.value.code == "PARSE_CRASHED"
    assert str(path) in caught.value.message
    assert context.items() <= caught.value.context.items()
    assert caught.value.context["format"] == name
    assert pool.read(sample("good")).format == "good"


def test_a_reader_that_hangs_is_ended(hasty: ReaderPool, sample: MakeSample) -> None:
    """Blocked signals and a held interpreter lock do not help it, and the next file is read."""
    before = hasty.statistics.timed_out
    with pytest.raises(ReaderTimeout, match="longer than 1 s"):
        hasty.read(sample("hangs"))
    worker = hasty.read(sample("good")).document.properties["pid"]
    fork_server = hasty.statistics.server_pid
    assert eventually(lambda: children(fork_server) == [fork_server, worker])
    assert hasty.statistics.timed_out == before + 1


def test_the_other_files_of_a_batch_do_not_notice(pool: ReaderPool, sample: MakeSample) -> None:
    """Each of many files gets its own answer, however many workers die meanwhile."""
    names = ["good", "segfault", "good", "leaves", "good", "refuses", "killed", "good"] * 6
    paths = [sample(name, str(number)) for number, name in enumerate(names)]
    died_before = pool.statistics.crashed
    answers = dict(pool.map(paths, ["flat"]))
    assert sorted(answers) == sorted(paths)
    for path, answer in answers.items():
        expected = {".good": Reading, ".refuses": MalformedFile}.get(path.suffix, ReaderCrashed)
        assert type(answer) is expected, (path, answer)
    assert pool.statistics.crashed - died_before == 18


def test_a_worker_that_dies_idle_costs_nothing(hasty: ReaderPool, sample: MakeSample) -> None:
    """Nobody's file is blamed for a process that was killed between two files."""
    for wait in (0.0, 0.0, 0.0, 0.001, 0.01, 0.1):
        pid = hasty.read(sample("good")).document.properties["pid"]
        os.kill(int(pid), signal.SIGKILL)
        time.sleep(wait)
        assert hasty.read(sample("good")).document.properties["pid"] != pid


def test_a_dead_fork_server_is_replaced(pool: ReaderPool, sample: MakeSample) -> None:
    """Losing the process that forks the others costs no file, even in the middle of one."""
    pool.start(wait=True)
    pending = [pool.submit(sample("sleeps", str(number))) for number in range(2)]
    assert eventually(lambda: all(future.running() for future in pending))
    fork_server = pool.statistics.server_pid
    assert fork_server is not None
    os.kill(fork_server, signal.SIGKILL)
    assert [future.result().format for future in pending] == ["sleeps", "sleeps"]
    assert pool.statistics.server_pid != fork_server


def test_an_adapters_own_exceptions_arrive_readably(pool: ReaderPool, sample: MakeSample) -> None:
    """What cannot be pickled or imported here still tells the adapter, the type and the text."""
    with pytest.raises(MalformedFile, match=r"the stubborn adapter could not read .*Stubborn: no"):
        pool.read(sample("stubborn"))
    with pytest.raises(MalformedFile, match="line 7") as caught:
        pool.read(sample("refuses"))
    assert caught.value.context == {"line": 7, "where": "x", "format": "refuses"}
    with pytest.raises(MalformedFile, match="SystemExit: goodbye"):
        pool.read(sample("exits"))


def test_a_refusal_may_quote_anything(pool: ReaderPool, sample: MakeSample) -> None:
    """Bytes that cannot be decoded, and numbers of any size, arrive as text."""
    with pytest.raises(MalformedFile) as caught:
        pool.read(sample("quotes"))
    assert caught.value.message == "line 7: '\\udcff'"
    assert caught.value.context == {"value": "\\udcff", "found": str(10**30), "format": "quotes"}


def test_a_broken_contract_is_logged_with_its_traceback(
    pool: ReaderPool, sample: MakeSample, caplog: pytest.LogCaptureFixture
) -> None:
    """The user sees one sentence, the log shows the place."""
    with pytest.raises(MalformedFile) as caught:
        pool.read(sample("stubborn"))
    assert "Traceback" not in caught.value.message
    assert "raise Stubborn(1, 2)" in caplog.text
    caplog.clear()
    with pytest.raises(MalformedFile):
        pool.read(sample("refuses"))
    assert not caplog.records


def test_an_answer_beyond_measure_is_refused(sample: MakeSample) -> None:
    """A document too large to send is a limit, not a full memory in the host."""
    limits = ReadLimits(max_memory_mb=2048)
    with ReaderPool(FORMATS, {}, limits=limits, workers=1) as roomy:
        with pytest.raises(LimitExceeded) as caught:
            roomy.read(sample("verbose"))
        assert caught.value.context["limit"] == "answer_bytes"
        assert roomy.read(sample("good")).format == "good"


def test_an_answer_that_is_none_is_not_believed(pool: ReaderPool, sample: MakeSample) -> None:
    """What a damaged process sends is checked; the process is ended, the next file is read."""
    with pytest.raises(ReaderCrashed, match="sent an invalid answer") as caught:
        pool.read(sample("babbles"))
    assert caught.value.context == {"reason": "answer", "format": "babbles"}
    assert pool.read(sample("good")).format == "good"


def test_an_answer_without_a_reading_is_refused(hasty: ReaderPool, sample: MakeSample) -> None:
    """Its worker is ended, so that what it sends afterwards is not taken for the answer to the next file."""
    with pytest.raises(ReaderCrashed, match="sent an invalid answer"):
        hasty.read(sample("forges"))
    assert hasty.read(sample("good")).format == "good"


@pytest.mark.parametrize("name", FORGED)
def test_a_reader_that_a_file_has_taken_over_is_ended(hasty: ReaderPool, tmp_path: Path, name: str) -> None:
    """An error of an unknown kind, code or size, or the reading of another file, costs the reader."""
    path = tmp_path / "part.forges_by_name"
    path.write_text(f"forges_by_name\n{name}")
    before = hasty.statistics
    with pytest.raises(ReaderCrashed, match="sent an invalid answer"):
        hasty.submit(path, identity=identify_file(path)[0]).result()
    good = tmp_path / "part.good"
    good.write_text("good\n")
    assert hasty.read(good).format == "good"
    after = hasty.statistics
    assert after.crashed - before.crashed == 1
    assert after.started > before.started


def test_nothing_reaches_the_hosts_output(
    pool: ReaderPool, sample: MakeSample, capfd: pytest.CaptureFixture[str]
) -> None:
    """Chatter of a kernel or a reader must not mix with the JSON that a command prints."""
    assert pool.read(sample("chatters")).format == "chatters"
    with pytest.raises(ReaderCrashed):
        pool.read(sample("aborts"))
    assert capfd.readouterr() == ("", "")


def test_readers_do_not_see_the_hosts_secrets(sample: MakeSample, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the host's environment is passed on but where programs and libraries are."""
    for name in ("ADMIN_TOKEN", "API_KEY", "API_KEYS", "CADML_DATABASE_URL", "HARMLESS"):
        monkeypatch.setenv(name, f"value of {name}")
    with ReaderPool(FORMATS, {}, limits=LIMITS, workers=1) as pool:
        seen = "\n".join(pool.read(sample("peeks")).document.layers)
    assert "value of" not in seen
    assert f"PATH={os.environ['PATH']}" in seen.splitlines()


def test_temporary_files_are_removed_after_each_file(pool: ReaderPool, sample: MakeSample) -> None:
    """What a reader leaves in its temporary folder is gone when the answer is there."""
    folder = Path(str(pool.read(sample("litters")).document.properties["folder"]))
    assert folder.parent.parent.name.startswith("cadml-sandbox-")
    assert not folder.exists()


def test_no_process_of_a_reader_outlives_it(pool: ReaderPool, sample: MakeSample) -> None:
    """One that it starts is refused by the kernel where that can be, and ended with it in any case."""
    with pytest.raises((ReaderCrashed, MalformedFile)):
        pool.read(sample("breeds"))
    fork_server = psutil.Process(pool.statistics.server_pid)
    assert eventually(lambda: all(one.name() != "sleep" for one in fork_server.children(recursive=True)))


def test_a_worker_that_grew_gives_its_memory_back(sample: MakeSample) -> None:
    """Leaks of a kernel do not add up, and no later file is blamed for them."""
    limits = ReadLimits(max_memory_mb=400)
    with ReaderPool(FORMATS, {}, limits=limits, workers=1) as leaking:
        pids = {leaking.read(sample("grows")).document.properties["pid"] for _ in range(4)}
        assert len(pids) == 4
        assert leaking.statistics.retired == 4
        assert leaking.statistics.crashed == 0


def test_a_worker_that_needed_much_does_not_darken_the_next_death(sample: MakeSample) -> None:
    """A crash is put down to memory only where the same file took it."""
    with ReaderPool(FORMATS, {}, limits=LIMITS, workers=1) as pool:
        pids = [pool.read(sample(name)).document.properties["pid"] for name in ("heavy", "good")]
        assert pids[0] != pids[1]
        with pytest.raises(ReaderCrashed) as caught:
            pool.read(sample("segfault"))
        assert caught.value.context["reason"] == "signal"


def test_refusals_of_the_input_come_back_as_such(
    pool: ReaderPool, sample: MakeSample, tmp_path: Path
) -> None:
    """The worker's own checks keep their codes."""
    with pytest.raises(NotFound):
        pool.read(tmp_path / "none.good")
    with pytest.raises(UnreadableInput):
        pool.read(tmp_path)
    changing = pool.submit(path := sample("touches"))
    assert eventually(changing.running)
    time.sleep(0.2)
    path.write_text("touches\nand more\n")
    with pytest.raises(UnreadableInput, match="changed while"):
        changing.result()
    with pytest.raises(NotFound, match="v9"):
        pool.read(sample("good"), ["v9"])


def test_a_broken_feature_version_is_an_internal_error(pool: ReaderPool, sample: MakeSample) -> None:
    """NaN is blamed on the version that made it."""
    with pytest.raises(
        CadmlError, match=r"feature version nan \(\w+\): extract returned values that are not finite"
    ) as caught:
        pool.read(sample("good"), ["nan"])
    assert caught.value.code == "INTERNAL_ERROR"


def test_a_name_that_is_not_utf8_is_read(pool: ReaderPool, tmp_path: Path) -> None:
    """Old folders hold names in old encodings."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.good"))
    path.write_text("good\n")
    assert pool.read(path).format == "good"
    path.write_text("refuses\n")
    [(name, error)] = pool.map([path])
    assert name == path
    assert isinstance(error, CadmlError)
    assert r"caf\xe9.good" in error.message


def test_a_worker_takes_the_hash_of_an_unchanged_file_as_known(pool: ReaderPool, sample: MakeSample) -> None:
    """The identity reaches the worker, which hashes only what has changed since."""
    path = sample("good")
    known = msgspec.structs.replace(identify_file(path)[0], sha256="0" * 64)
    assert pool.read(path, identity=known).sha256 == "0" * 64
    path.write_text("good\nand more\n")
    assert pool.read(path, identity=known).sha256 == identify_file(path)[0].sha256


def test_a_worker_reads_by_the_adapter_that_is_named(pool: ReaderPool, sample: MakeSample) -> None:
    """Content and suffix are not asked, and an error names the format all the same."""
    path = sample("good")
    path.write_text("nobody knows this\n")
    assert pool.read(path, adapter="sleeps").format == "sleeps"
    with pytest.raises(ReaderCrashed) as caught:
        pool.read(path, adapter="segfault")
    assert caught.value.context["format"] == "segfault"
    with pytest.raises(NotFound, match="no format adapter 'none'"):
        pool.read(path, adapter="none")


def test_a_relative_path_is_taken_from_here(
    pool: ReaderPool, sample: MakeSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers' own working folder does not matter."""
    monkeypatch.chdir(sample("good").parent)
    assert pool.read(Path("part.good")).format == "good"


def test_map_stays_only_a_little_ahead(pool: ReaderPool, sample: MakeSample) -> None:
    """A folder of any length is walked as fast as it is read."""
    path = sample("good")
    taken = 0

    def walk() -> Iterator[Path]:
        nonlocal taken
        for taken in range(1, 1001):  # noqa: B007 (counted from outside)
            yield path

    answers = pool.map(walk())
    for _ in range(5):
        next(answers)
    assert taken <= 5 + 2 * pool.workers + 2
    assert isinstance(answers, Generator)
    answers.close()


def test_queued_files_can_be_cancelled(hasty: ReaderPool, sample: MakeSample) -> None:
    """What no worker has taken yet can be called off."""
    running = hasty.submit(sample("hangs"))
    queued = hasty.submit(sample("good"))
    assert eventually(running.running)
    assert queued.cancel()
    assert not running.cancel()
    with pytest.raises(ReaderTimeout):
        running.result()


def test_a_server_can_await_a_reading(pool: ReaderPool, sample: MakeSample) -> None:
    """The futures fit asyncio."""

    async def main() -> Reading:
        return await asyncio.wrap_future(pool.submit(sample("good")))

    assert asyncio.run(main()).format == "good"


def test_what_is_logged_of_a_file_belongs_to_its_request(pool: ReaderPool, sample: MakeSample) -> None:
    """The thread that waits for the worker has the context of whoever asked."""
    seen: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(str(structlog.contextvars.get_contextvars().get("request_id")))

    listener, log = Listener(), logging.getLogger("cadml_core.reading")
    log.addHandler(listener)
    try:
        for name in ("first", "second"):
            with structlog.contextvars.bound_contextvars(request_id=name), pytest.raises(CadmlError):
                pool.read(sample("stubborn"))
    finally:
        log.removeHandler(listener)
    assert seen == ["first", "second"]


def test_metrics_are_recorded_in_the_host(pool: ReaderPool, sample: MakeSample) -> None:
    """Latencies and failures of the workers are counted where they are scraped."""

    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    seen = [
        ("parse_latency_seconds_count", {"format": "good"}),
        ("feature_extraction_latency_seconds_count", {"version": "flat"}),
        ("parse_failures_total", {"format": "segfault", "code": "PARSE_CRASHED"}),
        ("parse_failures_total", {"format": "refuses", "code": "PARSE_FAILED"}),
    ]
    before = [value(name, **labels) for name, labels in seen]
    pool.read(sample("good"), ["flat"])
    for name in ("segfault", "refuses"):
        with pytest.raises(CadmlError):
            pool.read(sample(name))
    assert [value(name, **labels) for name, labels in seen] == [count + 1 for count in before]


def test_closing_ends_every_process_and_removes_every_file(sample: MakeSample) -> None:
    """Nothing is left, even while files are being read; queued ones are cancelled."""
    pool = ReaderPool(FORMATS, {}, limits=LIMITS, workers=2)
    folder = Path(str(pool.read(sample("litters")).document.properties["folder"])).parent.parent
    futures = [pool.submit(sample("hangs", str(number))) for number in range(4)]
    fork_server = pool.statistics.server_pid
    assert eventually(lambda: len(children(fork_server)) == 3 and sum(map(Future.running, futures)) == 2)
    pids = children(fork_server)
    pool.close()
    pool.close()
    assert all(map(gone, pids))
    assert not folder.exists()
    assert sorted(future.cancelled() for future in futures) == [False, False, True, True]
    assert {type(future.exception()) for future in futures if not future.cancelled()} == {CadmlError}
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(sample("good"))


def test_many_pools_leave_nothing_in_the_host(sample: MakeSample) -> None:
    """Descriptors, threads and processes are as before."""
    me = psutil.Process()

    def held() -> tuple[int, int, int]:
        return me.num_fds(), me.num_threads(), len(me.children(recursive=True))

    before = held()
    for _ in range(3):
        with ReaderPool(FORMATS, {}, limits=LIMITS, workers=2) as pool:
            assert len(list(pool.map([sample("good")] * 4))) == 4
            with pytest.raises(ReaderCrashed):
                pool.read(sample("segfault"))
    assert held() == before


HOST = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
import os, sys, time
from pathlib import Path
from cadml_core.contracts.formats import ReadLimits
from cadml_core.reading.pool import ReaderPool
from tests.integration.evil_readers import FORMATS
pool = ReaderPool(FORMATS, {}, limits=ReadLimits(max_seconds=600), workers=2)
here = Path(sys.argv[1])
folder = pool.read(here / "part.litters").document.properties["folder"]
futures = [pool.submit(here / f"part.{name}") for name in ("hangs", "hangs", "good")]
while pool.statistics.alive < 2:
    time.sleep(0.01)
print(pool.statistics.server_pid, Path(folder).parent.parent, flush=True)
"""


@pytest.fixture
def host(sample: MakeSample, tmp_path: Path) -> Iterator[StartHost]:
    """Start a script, without a main guard, that reads two files that hang."""
    started = []
    for name in ("litters", "hangs", "good"):
        sample(name)

    def start(then: str) -> tuple[subprocess.Popen[str], list[int], Path]:
        script = tmp_path / "host.py"
        script.write_text(HOST + then)
        process = subprocess.Popen(
            [sys.executable, str(script), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        assert process.stdout is not None
        fork_server, folder = process.stdout.readline().split()
        assert eventually(lambda: len(children(int(fork_server))) == 3)
        return process, children(int(fork_server)), Path(folder)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_readers_end_with_a_killed_host(host: StartHost, end: signal.Signals) -> None:
    """No orphan and no temporary file is left, though the readers hang and the host says no goodbye."""
    process, pids, folder = host("time.sleep(1000)")
    os.killpg(process.pid, end)
    assert eventually(lambda: all(map(gone, pids)))
    assert eventually(lambda: not folder.exists())


def test_a_host_that_forgets_to_close_ends_at_once(host: StartHost) -> None:
    """The end of a script does not wait for hanging readers, and they end with it."""
    process, pids, folder = host("")
    assert process.wait(10) == 0
    assert eventually(lambda: all(map(gone, pids)))
    assert eventually(lambda: not folder.exists())


def test_readers_end_with_a_killed_fork_server(host: StartHost) -> None:
    """If both the fork server and the host go, the kernel ends the workers, and the next pool cleans up."""
    process, pids, folder = host("time.sleep(1000)")
    os.kill(pids[0], signal.SIGSTOP)  # or it might see the host go, and clean up, before it is killed
    for pid in (process.pid, pids[0]):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: all(map(gone, pids)))
    process.wait()
    assert folder.exists()
    with ReaderPool(FORMATS, {}, limits=LIMITS, workers=1) as pool:
        pool.start(wait=True)
        assert not folder.exists()


def test_an_adapter_of_the_main_script_is_refused_with_advice(tmp_path: Path) -> None:
    """It could not be imported elsewhere; the message says where to put it."""
    script = tmp_path / "main.py"
    script.write_text(
        "from cadml_core import ReadLimits\n"
        "from cadml_core.reading.pool import ReaderPool\n"
        "class Mine: name = 'mine'; suffixes = ()\n"
        "try: ReaderPool({'mine': Mine()}, {}, limits=ReadLimits(), workers=1)\n"
        "except Exception as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout
    assert "the format adapter mine is defined in the main script" in said
    assert "move it into a module" in said


def test_an_adapter_that_cannot_be_sent_is_refused_with_advice() -> None:
    """A class inside a function has no name that another process could import."""
    local = Evil("local", lambda path, limits: good(path, limits))
    with pytest.raises(PluginUnavailable, match=r"format adapter local cannot be sent.*top level"):
        ReaderPool({"local": local}, {}, limits=LIMITS, workers=1)


class Fragile(Evil):
    """An adapter that works here and cannot be made elsewhere."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (int, ("not a number",))


def test_readers_that_cannot_start_say_why(sample: MakeSample) -> None:
    """Each file is refused with the reason, and closing still works."""
    with ReaderPool({"good": Fragile("good", good)}, {}, limits=LIMITS, workers=2) as pool:
        for _ in range(2):
            with pytest.raises(PluginUnavailable, match=r"cannot start: ValueError: .*not a number"):
                pool.read(sample("good"))
        with pytest.raises(PluginUnavailable, match="not a number"):
            pool.start(wait=True)


def revive(obstacle: str) -> FormatAdapter:
    """Make an adapter unless the obstacle is there."""
    if Path(obstacle).exists():
        raise OSError("the kernel's licence server is down")
    return FORMATS["good"]


class Recovering(Evil):
    """An adapter that cannot be made for a while."""

    obstacle = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return (revive, (self.obstacle,))


def test_a_start_that_failed_is_tried_again(
    sample: MakeSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server need not be restarted once the cause is gone; until then each file tells it at once."""
    adapter = Recovering("good", good)
    adapter.obstacle = str(tmp_path / "obstacle")
    (tmp_path / "obstacle").touch()
    with ReaderPool({"good": adapter}, {}, limits=LIMITS, workers=1) as pool:
        with pytest.raises(PluginUnavailable, match="licence server"):
            pool.read(sample("good"))
        fork_server = pool.statistics.server_pid
        (tmp_path / "obstacle").unlink()
        with pytest.raises(PluginUnavailable, match="licence server"):
            pool.read(sample("good"))
        assert pool.statistics.server_pid == fork_server
        monkeypatch.setattr(processes, "RETRY_SECONDS", 0.0)
        assert pool.read(sample("good")).format == "good"


def test_a_temporary_folder_that_is_gone_is_named(
    sample: MakeSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no process can be started, the message says what it needs."""
    path = sample("good")
    with ReaderPool(FORMATS, {}, limits=LIMITS, workers=1) as pool:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        with pytest.raises(PluginUnavailable, match=r"cannot start: .*gone.*TMPDIR"):
            pool.read(path)
        monkeypatch.undo()
        assert pool.read(path).format == "good"


class Preloading(Evil):
    """An adapter with one module to preload that exists and one that does not."""

    preload = ("wave", "no_such_kernel")


def has_wave(path: Path, limits: ReadLimits) -> CadDocument:
    """Refuse, and tell whether the module was there."""
    raise MalformedFile("told", wave="wave" in sys.modules)


def test_modules_are_preloaded_and_a_missing_one_is_only_a_warning(
    sample: MakeSample, caplog: pytest.LogCaptureFixture
) -> None:
    """Workers find the module imported; what is missing matters to the files that need it."""
    with ReaderPool({"has_wave": Preloading("has_wave", has_wave)}, {}, limits=LIMITS, workers=1) as pool:
        pool.start(wait=True)
        assert "has_wave: cannot preload no_such_kernel" in caplog.text
        with pytest.raises(MalformedFile) as caught:
            pool.read(sample("has_wave"))
    assert caught.value.context["wave"] is True


def in_a_fork(pool: ReaderPool, path: Path, answers: SimpleQueue[str]) -> None:
    """Use an inherited pool."""
    try:
        pool.submit(path)
    except RuntimeError as error:
        answers.put(str(error))
    pool.close()


def test_a_pool_is_not_shared_over_a_fork(pool: ReaderPool, sample: MakeSample) -> None:
    """A forked child is told to make its own, and closing its copy does not hurt the original."""
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    child = fork.Process(target=in_a_fork, args=(pool, sample("good"), answers))
    child.start()
    child.join(10)
    assert "before a fork" in answers.get()
    assert pool.read(sample("good")).format == "good"


def test_files_that_hang_let_others_pass(sample: MakeSample, monkeypatch: pytest.MonkeyPatch) -> None:
    """More hanging files than workers, queued first: all good ones are read before any of those is done."""
    monkeypatch.setattr(pool_module, "_QUICK_SECONDS", 0.3)
    for workers in (1, 2):
        with ReaderPool(FORMATS, FEATURES, limits=LIMITS, workers=workers) as shared:
            shared.share()
            shared.start(wait=True)
            hanging = [shared.submit(sample("hangs", f"h{number}")) for number in range(5)]
            good_ones = [shared.submit(sample("good", f"g{number}")) for number in range(10)]
            assert {future.result().format for future in good_ones} == {"good"}
            assert not [future for future in hanging if future.done()]
            assert shared.statistics.crashed == shared.statistics.refused == 0
        for future in hanging:
            assert future.cancelled() or isinstance(future.exception(), (CadmlError, RuntimeError))


def test_a_file_that_was_put_back_is_read(sample: MakeSample, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that take longer than is quick, with others behind them, are all read, and counted once."""
    monkeypatch.setattr(pool_module, "_QUICK_SECONDS", 0.1)
    with ReaderPool(FORMATS, FEATURES, limits=LIMITS, workers=2) as shared:
        shared.share()
        shared.start(wait=True)
        slow = [shared.submit(sample("sleeps", f"s{number}")) for number in range(6)]
        assert [future.result().format for future in slow] == ["sleeps"] * 6
        assert shared.statistics.read == 6
        assert shared.statistics.started > 2
        assert shared.statistics.crashed == 0


def test_files_known_to_be_slow_are_not_begun_twice(
    sample: MakeSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a file of a kind was read to its end, others of the kind are not tried for less time."""
    monkeypatch.setattr(pool_module, "_QUICK_SECONDS", 0.1)
    with ReaderPool(FORMATS, FEATURES, limits=LIMITS, workers=2) as shared:
        shared.share()
        shared.start(wait=True)
        assert shared.read(sample("sleeps", "first")).format == "sleeps"
        started = shared.statistics.started
        shared.allow_reading(sample("good").parent)
        slow = [shared.submit(sample("sleeps", f"s{number}")) for number in range(6)]
        good_ones = [shared.submit(sample("good", f"g{number}")) for number in range(6)]
        assert {future.result().format for future in good_ones} == {"good"}
        assert [future.result().format for future in slow] == ["sleeps"] * 6
        assert shared.statistics.started <= started + 3


def test_slow_files_are_read_among_those_that_hang(
    sample: MakeSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that take longer than is quick are not kept waiting for the limit of those that hang."""
    monkeypatch.setattr(pool_module, "_QUICK_SECONDS", 0.1)
    with ReaderPool(FORMATS, FEATURES, limits=LIMITS, workers=2) as shared:
        shared.share()
        shared.start(wait=True)
        hanging = [shared.submit(sample("hangs", f"h{number}")) for number in range(5)]
        slow = [shared.submit(sample("sleeps", f"s{number}")) for number in range(5)]
        assert [future.result().format for future in slow] == ["sleeps"] * 5
        assert sum(future.done() for future in hanging) <= 1


def test_files_alone_are_not_put_back(sample: MakeSample, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody waits, a file keeps its worker however long it takes."""
    monkeypatch.setattr(pool_module, "_QUICK_SECONDS", 0.1)
    with ReaderPool(FORMATS, FEATURES, limits=LIMITS, workers=2) as shared:
        shared.share()
        slow = [shared.submit(sample("sleeps", f"s{number}")) for number in range(2)]
        assert [future.result().format for future in slow] == ["sleeps"] * 2
        assert shared.statistics.started == 2
