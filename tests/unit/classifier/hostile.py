"""Hostile and malformed pickles, one by one and by technique. They are data: nothing here ever loads one.

The arguments are harmless all the same: should a test go wrong, ``true`` runs or ``1`` is evaluated.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib

from tests.unit.classifier.assemble import (
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    MARK,
    NONE,
    POP,
    REDUCE,
    STOP,
    TUPLE1,
    frame,
    global_,
    inst,
    number,
    op,
    proto,
    stack_global,
    text,
    text0,
    text1,
    text8,
)

_NAMES = (
    "os:system posix:system nt:system os:popen os:execv os:spawnl os:_exit posix:fork os:putenv "
    "os:remove subprocess:Popen subprocess:call subprocess:check_output subprocess:getoutput "
    "_posixsubprocess:fork_exec builtins:eval builtins:exec builtins:compile builtins:__import__ "
    "builtins:open builtins:getattr builtins:setattr builtins:globals builtins:vars builtins:map "
    "builtins:breakpoint builtins:input io:open io:FileIO _io:open pathlib:Path.write_text "
    "importlib:import_module importlib:__import__ _frozen_importlib:__import__ imp:load_source "
    "runpy:run_path runpy:_run_code pkgutil:resolve_name pydoc:locate pydoc:pipepager "
    "operator:attrgetter operator:methodcaller operator:itemgetter functools:reduce "
    "functools:partialmethod _operator:attrgetter types:FunctionType types:CodeType types:MethodType "
    "marshal:loads pickle:loads _pickle:loads pickle:Unpickler copyreg:add_extension sys:exit "
    "sys:modules sys:settrace code:interact code:InteractiveInterpreter codeop:compile_command "
    "pty:spawn platform:popen commands:getoutput ctypes:CDLL ctypes:PyDLL _ctypes:dlopen "
    "ctypes.util:_findLib_gcc cffi:FFI socket:socket socket:create_connection urllib.request:urlopen "
    "http.client:HTTPConnection ftplib:FTP smtplib:SMTP telnetlib:Telnet webbrowser:open "
    "shutil:rmtree shutil:copyfile tempfile:mkstemp multiprocessing:Process threading:Thread "
    "_thread:start_new_thread asyncio:run asyncio.unix_events:_UnixSubprocessTransport "
    "signal:raise_signal timeit:timeit timeit:main cProfile:run profile:run trace:Trace pdb:run "
    "bdb:Bdb doctest:debug_script unittest:main test.support.script_helper:assert_python_ok "
    "distutils.file_util:write_file lib2to3.pgen2.pgen:generate_grammar ensurepip:_run_pip "
    "venv:create zipapp:create_archive logging.config:fileConfig logging.config:_resolve "
    "uuid:_get_command_stdout imaplib:IMAP4_stream _osx_support:_read_output "
    "_aix_support:_read_cmd_output idlelib.pyshell:ModifiedInterpreter.runcommand "
    "idlelib.autocomplete:AutoComplete.fetch_completions linecache:getlines inspect:getattr_static "
    "collections:namedtuple dataclasses:make_dataclass enum:EnumMeta string:Formatter numpy:load "
    "numpy:fromfile numpy:memmap numpy:genfromtxt numpy:savetxt numpy.f2py:run_main "
    "numpy.f2py.diagnose:run_command numpy.testing._private.utils:runstring "
    "numpy.testing._private.utils:rundocs numpy.distutils.exec_command:exec_command "
    "numpy.lib.npyio:load numpy.lib._npyio_impl:load numpy:f2py.os.system numpy:save "
    "numpy.ctypeslib:load_library numpy.core._multiarray_umath:fromfile "
    "numpy._core.multiarray:fromfile numpy.lib.utils:safe_eval joblib:load joblib.numpy_pickle:load "
    "joblib.numpy_pickle:os joblib.externals.loky.process_executor:os.system "
    "joblib.externals.cloudpickle:loads joblib.memory:Memory sklearn.datasets._base:os "
    "sklearn.datasets._base:load_files sklearn.datasets:fetch_openml "
    "sklearn.utils._testing:os.system sklearn.utils._mocking:CheckingClassifier "
    "sklearn.externals._packaging.version:re.sys scipy.io:loadmat scipy.io.matlab:loadmat "
    "scipy:linalg.interpolative.os pandas:read_pickle pandas:eval pandas.io.common:get_handle "
    "pandas.core.computation.eval:eval torch:load torch.hub:load torch.serialization:load "
    "torch.utils.cpp_extension:load tensorflow:io.write_file "
    "tensorflow.python.framework.load_library:load_op_library cloudpickle:loads "
    "cloudpickle.cloudpickle:_builtin_type dill:loads dill._dill:_create_function jsonpickle:decode "
    "yaml:unsafe_load requests:get httpx:get urllib3:PoolManager paramiko:SSHClient pip:main "
    "pip._internal:main setuptools:setup pkg_resources:run_script IPython:start_ipython psutil:Popen "
    "jinja2:Template django.core.management:call_command click:launch sqlalchemy:create_engine "
    "cadml_core.pickles.loader:load_restricted cadml_hostapp.cli:main __main__:anything "
    "__builtin__:eval __builtin__:execfile commands:getstatusoutput "
    "exceptions:Exception.__subclasses__ builtins:object.__subclasses__ builtins:type "
    "builtins:__build_class__ builtins:super builtins:property builtins:memoryview "
)
GADGETS = tuple(_NAMES.split())

DANGER = ("posix", "system")
_ARGUMENT = text1("true") + TUPLE1


def _techniques(module: str, name: str) -> dict[str, bytes]:
    """The same global, reached in every way that the pickle machine has."""
    named = stack_global(module, name)
    early = global_(module, name)
    instance = stack_global("sklearn.linear_model._base", "LinearRegression") + EMPTY_TUPLE + op("NEWOBJ")
    return {
        "GLOBAL, protocol 0": early + MARK + text0("true") + op("TUPLE") + REDUCE + STOP,
        "GLOBAL, protocol 2": proto(2) + early + _ARGUMENT + REDUCE + STOP,
        "STACK_GLOBAL": proto(4) + frame(named + text("true") + TUPLE1 + REDUCE + STOP),
        "INST": MARK + text0("true") + inst(module, name) + STOP,
        "OBJ": proto(2) + MARK + early + text1("true") + op("OBJ") + STOP,
        "NEWOBJ": proto(2) + early + _ARGUMENT + op("NEWOBJ") + STOP,
        "NEWOBJ_EX": proto(4) + named + text("true") + TUPLE1 + EMPTY_DICT + op("NEWOBJ_EX") + STOP,
        "as data": proto(4) + EMPTY_LIST + named + op("APPEND") + STOP,
        "planted __setstate__": proto(4)
        + (instance + op("MEMOIZE") + EMPTY_DICT + text("__setstate__") + named + op("SETITEM") + BUILD)
        + (text("true") + BUILD + STOP),
        "planted predict": proto(4)
        + (instance + EMPTY_DICT + text("predict") + named + op("SETITEM") + BUILD + STOP),
        "behind the memo": proto(4)
        + (text(module) + op("MEMOIZE") + POP + text(name) + op("MEMOIZE") + POP)
        + (op("BINGET", b"\x00") + op("BINGET", b"\x01") + op("STACK_GLOBAL") + EMPTY_TUPLE + REDUCE + STOP),
        "under a pop": proto(4) + named + text("true") + TUPLE1 + REDUCE + POP + NONE + STOP,
    }


def _by_gadget() -> dict[str, bytes]:
    return {
        f"{gadget}, {technique}": data
        for gadget in GADGETS
        for technique, data in _techniques(*gadget.split(":")).items()
    }


def _hidden_names() -> dict[str, bytes]:
    """The operands of STACK_GLOBAL where looking back at the opcodes before it finds something else."""
    module, name = DANGER
    go = EMPTY_TUPLE + REDUCE + STOP
    lookup = op("STACK_GLOBAL")
    return {
        "DUP of the module": proto(4) + text("posix") + op("DUP") + POP + text(name) + lookup + go,
        "name twice by DUP": proto(4) + text("code") + op("DUP") + lookup + go,
        "POP_MARK in between": proto(4)
        + (
            text(module)
            + MARK
            + text("decoy")
            + op("POP_MARK")
            + text(name)
            + MARK
            + op("POP_MARK")
            + lookup
            + go
        ),
        "LONG_BINPUT, LONG_BINGET": proto(4)
        + (text(module) + op("LONG_BINPUT", struct.pack("<I", 0)) + POP + text(name))
        + (op("LONG_BINPUT", struct.pack("<I", 1)) + POP)
        + (op("LONG_BINGET", struct.pack("<I", 0)) + op("LONG_BINGET", struct.pack("<I", 1)) + lookup + go),
        "text PUT and GET": proto(4)
        + (text(module) + op("PUT", b"0\n") + POP + text(name) + op("PUT", b"1\n") + POP)
        + (op("GET", b"0\n") + op("GET", b"1\n") + lookup + go),
        "overwritten memo slot": proto(4)
        + (text("numpy") + op("BINPUT", b"\x00") + POP + text(module) + op("BINPUT", b"\x00") + POP)
        + (op("BINGET", b"\x00") + text(name) + lookup + go),
        "BINUNICODE8": proto(4) + text8(module) + text8(name) + lookup + go,
        "UNICODE with escapes": proto(4)
        + op("UNICODE", b"p\\u006fsix\n")
        + op("UNICODE", b"syste\\u006d\n")
        + lookup
        + go,
        "STRING": proto(4) + op("STRING", b"'posix'\n") + op("STRING", b"'system'\n") + lookup + go,
        "STRING with escapes": proto(4)
        + op("STRING", b"'po\\x73ix'\n")
        + op("STRING", b"'system'\n")
        + lookup
        + go,
        "SHORT_BINSTRING": proto(4)
        + (op("SHORT_BINSTRING", b"\x05posix") + op("SHORT_BINSTRING", b"\x06system") + lookup + go),
        "memo filled inside a MARK": proto(4)
        + (MARK + text(module) + op("MEMOIZE") + text(name) + op("MEMOIZE") + op("POP_MARK"))
        + (op("BINGET", b"\x00") + op("BINGET", b"\x01") + lookup + go),
        "module computed by REDUCE": proto(4)
        + (stack_global("_codecs", "encode") + text("posix") + text("latin1") + op("TUPLE2") + REDUCE)
        + (text(name) + lookup + go),
        "name computed by REDUCE": proto(4)
        + (text(module) + stack_global("builtins", "str") + text("system") + TUPLE1 + REDUCE + lookup + go),
        "name computed by numpy": proto(4)
        + (text(module) + stack_global("numpy", "str_") + text("system") + TUPLE1 + REDUCE + lookup + go),
        "Python 2 name": proto(2) + global_("__builtin__", "eval") + text1("1") + TUPLE1 + REDUCE + STOP,
        "Python 2 module": proto(2)
        + global_("commands", "getoutput")
        + text1("true")
        + TUPLE1
        + REDUCE
        + STOP,
        "Python 2 name without PROTO": global_("__builtin__", "apply") + MARK + op("TUPLE") + REDUCE + STOP,
        "dotted name": proto(4)
        + stack_global("numpy", "f2py.os.system")
        + text("true")
        + TUPLE1
        + REDUCE
        + STOP,
        "dunder name": proto(4) + stack_global("numpy", "__builtins__") + STOP,
        "dotted dunder": proto(4) + stack_global("numpy.dtype", "__class__.__base__") + STOP,
        "re-exported module": proto(4) + stack_global("sklearn.datasets._base", "os") + STOP,
    }


def _chains() -> dict[str, bytes]:
    """One call feeds another."""
    getattr_ = stack_global("builtins", "getattr")
    import_ = stack_global("importlib", "import_module") + text("os") + TUPLE1 + REDUCE
    return {
        "getattr of import_module": proto(4)
        + (
            getattr_
            + import_
            + text("system")
            + op("TUPLE2")
            + REDUCE
            + text("true")
            + TUPLE1
            + REDUCE
            + STOP
        ),
        "attrgetter of import_module": proto(4)
        + (
            stack_global("operator", "attrgetter")
            + text("system")
            + TUPLE1
            + REDUCE
            + import_
            + TUPLE1
            + REDUCE
            + STOP
        ),
        "resolve_name": proto(4)
        + (
            stack_global("pkgutil", "resolve_name")
            + text("os:system")
            + TUPLE1
            + REDUCE
            + text("true")
            + TUPLE1
        )
        + (REDUCE + STOP),
        "partial of eval": proto(4)
        + (
            stack_global("functools", "partial")
            + stack_global("builtins", "eval")
            + text("1")
            + op("TUPLE2")
            + REDUCE
        )
        + (EMPTY_TUPLE + REDUCE + STOP),
        "partial called": proto(4)
        + (
            stack_global("functools", "partial")
            + stack_global("numpy", "abs")
            + number(1)
            + op("TUPLE2")
            + REDUCE
        )
        + (EMPTY_TUPLE + REDUCE + STOP),
        "reduce over getattr": proto(4)
        + (stack_global("functools", "reduce") + getattr_ + EMPTY_LIST + op("TUPLE2") + REDUCE + STOP),
        "map over eval": proto(4)
        + (
            stack_global("builtins", "list")
            + stack_global("builtins", "map")
            + stack_global("builtins", "eval")
        )
        + (EMPTY_LIST + op("TUPLE2") + REDUCE + TUPLE1 + REDUCE + STOP),
        "object called": proto(4)
        + (stack_global("sklearn.linear_model._base", "LinearRegression") + EMPTY_TUPLE + op("NEWOBJ"))
        + (EMPTY_TUPLE + REDUCE + STOP),
        "class made by type": proto(4)
        + (stack_global("builtins", "type") + text("X") + EMPTY_TUPLE + EMPTY_DICT + op("TUPLE3") + REDUCE)
        + (EMPTY_TUPLE + op("NEWOBJ") + STOP),
        "code object": proto(4) + stack_global("types", "CodeType") + EMPTY_TUPLE + REDUCE + STOP,
        "ufunc by name": proto(4)
        + (
            stack_global("numpy.core", "_ufunc_reconstruct")
            + text("os")
            + text("system")
            + op("TUPLE2")
            + REDUCE
            + STOP
        ),
        "reconstructor of a foreign class": proto(2)
        + (
            global_("copy_reg", "_reconstructor")
            + global_("subprocess", "Popen")
            + global_("__builtin__", "object")
        )
        + (NONE + op("TUPLE3") + REDUCE + STOP),
    }


def _changed_globals() -> dict[str, bytes]:
    """Opcodes that act on a class or module rather than on an object."""
    kind = stack_global("sklearn.linear_model._base", "LinearRegression")
    planted = EMPTY_DICT + text("predict") + stack_global("builtins", "print") + op("SETITEM")
    return {
        "BUILD on a class": proto(4) + kind + planted + BUILD + STOP,
        "slot state on a class": proto(4) + kind + NONE + planted + op("TUPLE2") + BUILD + STOP,
        "SETITEM on a global": proto(4)
        + stack_global("sys", "modules")
        + text("os")
        + NONE
        + op("SETITEM")
        + STOP,
        "SETITEMS on a global": proto(4)
        + (stack_global("os", "environ") + MARK + text("A") + text("B") + op("SETITEMS") + STOP),
        "APPEND on a global": proto(4) + stack_global("sys", "path") + text("/tmp") + op("APPEND") + STOP,
        "APPENDS on a global": proto(4)
        + stack_global("sys", "path")
        + MARK
        + text("/tmp")
        + op("APPENDS")
        + STOP,
        "ADDITEMS on a global": proto(4)
        + stack_global("numpy", "ndarray")
        + MARK
        + NONE
        + op("ADDITEMS")
        + STOP,
        "SETITEM on a whitelisted class": proto(4) + kind + text("a") + NONE + op("SETITEM") + STOP,
    }


def _states() -> dict[str, bytes]:
    """State that makes an object of an allowed class do something else."""
    made = stack_global("sklearn.linear_model._base", "LinearRegression") + EMPTY_TUPLE + op("NEWOBJ")
    array = stack_global("numpy", "ndarray")
    string = (
        stack_global("numpy", "dtype") + text("U12") + op("NEWFALSE") + op("NEWTRUE") + op("TUPLE3") + REDUCE
    )
    key = (
        stack_global("numpy._core.multiarray", "scalar")
        + string
        + op("SHORT_BINBYTES", b"\x30" + "__setstate__".encode("utf-32-le"))
        + op("TUPLE2")
        + REDUCE
    )
    return {
        "__class__ in the state": proto(4)
        + (made + EMPTY_DICT + text("__class__") + array + op("SETITEM") + BUILD + STOP),
        "__reduce__ in the state": proto(4)
        + (made + EMPTY_DICT + MARK + text("__reduce__") + array + op("SETITEMS") + BUILD + STOP),
        "slots of an object": proto(4)
        + (
            made + NONE + EMPTY_DICT + text("__class__") + array + op("SETITEM") + op("TUPLE2") + BUILD + STOP
        ),
        "state as a list of pairs": proto(4)
        + (made + EMPTY_LIST + text("__setstate__") + array + op("TUPLE2") + op("APPEND") + BUILD + STOP),
        "key of a text subclass": proto(4) + made + EMPTY_DICT + key + array + op("SETITEM") + BUILD + STOP,
        "key in a long text": proto(4)
        + (made + EMPTY_DICT + text8("__setstate__") + array + op("SETITEM") + BUILD + STOP),
        "state added later": proto(4)
        + (made + EMPTY_DICT + op("MEMOIZE") + text("__setstate__") + array + op("SETITEM") + BUILD + STOP),
    }


def _registries() -> dict[str, bytes]:
    """What the loading process decides."""
    return {
        "EXT1": proto(2) + op("EXT1", b"\x01") + STOP,
        "EXT2": proto(2) + op("EXT2", b"\x01\x00") + STOP,
        "EXT4": proto(2) + op("EXT4", b"\x01\x00\x00\x00") + STOP,
        "add_extension then EXT1": proto(4)
        + (
            stack_global("copyreg", "add_extension")
            + text("os")
            + text("system")
            + number(240)
            + op("TUPLE3")
            + REDUCE
        )
        + (POP + op("EXT1", b"\xf0") + text("true") + TUPLE1 + REDUCE + STOP),
        "PERSID": op("PERSID", b"anything\n") + STOP,
        "BINPERSID": proto(2) + text1("anything") + op("BINPERSID") + STOP,
    }


def _dtype(code: str, state: bytes) -> bytes:
    made = (
        stack_global("numpy", "dtype") + text(code) + op("NEWFALSE") + op("NEWTRUE") + op("TUPLE3") + REDUCE
    )
    return made + MARK + state + op("TUPLE") + BUILD


def _resources() -> dict[str, bytes]:
    """Allowed functions with arguments that take memory or make bytes into pointers."""
    big = op("LONG1", b"\x05" + (10**11).to_bytes(5, "little"))
    one = number(1)
    flat = number(3) + text("|") + NONE + NONE + NONE
    sizes = op("BININT", struct.pack("<i", -1)) * 2
    array_type = stack_global("numpy", "ndarray")
    reconstruct = stack_global("numpy._core.multiarray", "_reconstruct")
    scalar = stack_global("numpy._core.multiarray", "scalar")
    numbers = _dtype("f8", flat + sizes + number(0))
    lying = _dtype("O8", flat + sizes + number(0))
    field = EMPTY_DICT + text("a") + numbers + big + op("TUPLE2") + op("SETITEM")
    outside = _dtype(
        "V8", number(3) + text("|") + NONE + text("a") + TUPLE1 + field + number(8) + one + number(16)
    )
    inner = (
        EMPTY_DICT
        + text("a")
        + _dtype("O8", flat + sizes + number(63))
        + number(0)
        + op("TUPLE2")
        + op("SETITEM")
    )
    pointer = _dtype(
        "V8", number(3) + text("|") + NONE + text("a") + TUPLE1 + inner + number(8) + one + number(0)
    )
    encode = stack_global("_codecs", "encode") + text("x")
    return {
        "list of range": proto(4)
        + (
            stack_global("builtins", "list")
            + stack_global("builtins", "range")
            + big
            + TUPLE1
            + REDUCE
            + TUPLE1
        )
        + (REDUCE + STOP),
        "set of range": proto(4)
        + (
            stack_global("builtins", "set")
            + stack_global("builtins", "range")
            + big
            + TUPLE1
            + REDUCE
            + TUPLE1
        )
        + (REDUCE + STOP),
        "bytearray of a size": proto(4)
        + stack_global("builtins", "bytearray")
        + big
        + TUPLE1
        + REDUCE
        + STOP,
        "bytes of a size": proto(4) + stack_global("builtins", "bytes") + big + TUPLE1 + REDUCE + STOP,
        "huge _reconstruct": proto(4)
        + (
            reconstruct
            + array_type
            + big
            + TUPLE1
            + op("SHORT_BINBYTES", b"\x01b")
            + op("TUPLE3")
            + REDUCE
            + STOP
        ),
        "ndarray called": proto(4) + array_type + big + TUPLE1 + REDUCE + STOP,
        "ndarray by NEWOBJ": proto(4) + array_type + big + TUPLE1 + op("NEWOBJ") + STOP,
        "zeros": proto(4) + stack_global("numpy", "zeros") + big + TUPLE1 + REDUCE + STOP,
        "scalar of a huge type": proto(4)
        + (scalar + _dtype("V2000000000", flat + sizes + number(0)) + TUPLE1 + REDUCE + STOP),
        "object type without its flags": proto(4) + lying + STOP,
        "field outside the item": proto(4) + outside + STOP,
        "hidden object field": proto(4) + pointer + STOP,
        "other codec": proto(4) + encode + text("zlib_codec") + op("TUPLE2") + REDUCE + STOP,
        "codec that is computed": proto(4) + encode + NONE + op("TUPLE2") + REDUCE + STOP,
        "huge tree": proto(4)
        + (stack_global("sklearn.tree._tree", "Tree") + big + NONE + big + op("TUPLE3") + REDUCE + STOP),
        "str of an object": proto(4) + stack_global("builtins", "str") + EMPTY_LIST + TUPLE1 + REDUCE + STOP,
        "int of a text": proto(4)
        + stack_global("builtins", "int")
        + text("9" * 200)
        + TUPLE1
        + REDUCE
        + STOP,
        "tuple of an object": proto(4)
        + stack_global("builtins", "tuple")
        + EMPTY_LIST
        + TUPLE1
        + REDUCE
        + STOP,
    }


HOSTILE: dict[str, bytes] = {
    **_by_gadget(),
    **_hidden_names(),
    **_chains(),
    **_changed_globals(),
    **_states(),
    **_registries(),
    **_resources(),
}
"""Well-formed or not, each does something that no model needs; whitelist mode refuses all of them."""

BLACKLIST_MISSES = frozenset(
    {
        "huge _reconstruct",
        "ndarray called",
        "ndarray by NEWOBJ",
        "zeros",
        "huge tree",
        "str of an object",
        "int of a text",
        "tuple of an object",
    }
)
"""What the blacklist, being a list of known dangers, lets through."""


def _good() -> bytes:
    return pickle.dumps({"a": [1, 2.5, "x"], "b": (None, True)}, 4)


def _archives() -> dict[str, bytes]:
    good = _good()
    zipped, taped = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("data.pkl", good)
    with tarfile.open(fileobj=taped, mode="w") as tape:
        entry = tarfile.TarInfo("data.pkl")
        entry.size = len(good)
        tape.addfile(entry, io.BytesIO(good))
    return {
        "zip": zipped.getvalue(),
        "tar": taped.getvalue(),
        "gzip": gzip.compress(good),
        "bz2": bz2.compress(good),
        "xz": lzma.compress(good),
        "lzma": lzma.compress(good, lzma.FORMAT_ALONE),
        "zlib": zlib.compress(good),
        "zlib fast": zlib.compress(good, 1),
        "zlib best": zlib.compress(good, 9),
        "old joblib": b"ZF0x" + b"0" * 18 + zlib.compress(good),
        "npy": b"\x93NUMPY\x01\x00v\x00" + b" " * 118,
        "png polyglot": b"\x89PNG\r\n\x1a\n" + good,
        "gif polyglot": b"GIF89a\x00\x00\x000" + global_(*DANGER) + EMPTY_TUPLE + REDUCE + STOP,
        "gif polyglot of plain data": b"GIF89a\x00\x00\x000N.",
        "MZ polyglot": b"MZ\x90" + good,
        "ELF": b"\x7fELF" + good,
        "pdf": b"%PDF-1.7\n" + good,
        "zip at the end": good + zipped.getvalue(),
    }


def _broken() -> dict[str, bytes]:
    good = _good()
    body = good[11:]
    return {
        "empty": b"",
        "one byte": b"\x80",
        "PROTO only": proto(4),
        "text": b"this is not a pickle",
        "upper case text": b"NOT A PICKLE",
        "html": b"<html></html>",
        "json": b'{"a": 1}',
        "no STOP": good[:-1],
        "second pickle": good + good,
        "junk after STOP": good + b"\x00",
        "newline after STOP": good + b"\n",
        "hostile second pickle": good + proto(2) + global_(*DANGER) + EMPTY_TUPLE + REDUCE + STOP,
        "invalid opcode": proto(4) + NONE + b"\xff" + STOP,
        "invalid opcode after the payload": proto(4)
        + stack_global(*DANGER)
        + EMPTY_TUPLE
        + REDUCE
        + b"\x00"
        + STOP,
        "truncated payload": (proto(4) + stack_global(*DANGER) + EMPTY_TUPLE + REDUCE),
        "empty stack at STOP": proto(4) + STOP,
        "two values at STOP": proto(4) + NONE + NONE + STOP,
        "open MARK": proto(4) + MARK + NONE + STOP,
        "underflow": proto(4) + NONE + op("TUPLE2") + STOP,
        "POP of nothing": proto(4) + POP + NONE + STOP,
        "no MARK": proto(4) + NONE + op("TUPLE") + STOP,
        "value below the MARK": proto(4) + NONE + MARK + TUPLE1 + STOP,
        "REDUCE of nothing": proto(4) + REDUCE + STOP,
        "unset memo": proto(4) + op("BINGET", b"\x00") + STOP,
        "memo gap": proto(4) + NONE + op("BINPUT", b"\x05") + op("BINGET", b"\x03") + STOP,
        "memo beyond the opcodes": proto(4) + NONE + op("LONG_BINPUT", struct.pack("<I", 1 << 30)) + STOP,
        "PUT bomb": NONE + op("PUT", b"4000000000\n") + STOP,
        "PROTO in the middle": proto(4) + NONE + proto(4) + STOP,
        "PROTO 6": proto(6) + NONE + STOP,
        "PROTO 255": proto(255) + NONE + STOP,
        "PROTO 1": proto(1) + NONE + STOP,
        "protocol 4 in 2": proto(2) + text("x") + STOP,
        "protocol 2 without PROTO": NONE + TUPLE1 + STOP,
        "protocol 5 in 4": proto(4) + op("BYTEARRAY8", struct.pack("<Q", 1) + b"x") + STOP,
        "frame too long": proto(4) + frame(body, len(body) + 1),
        "huge frame": proto(4) + frame(body, 1 << 60),
        "negative frame": proto(4) + frame(body, (1 << 64) - 1),
        "nested frame": proto(4) + frame(frame(NONE) + STOP),
        "straddled frame": proto(4) + frame(text("posix")[:4], 4) + text("posix")[4:] + STOP,
        "frame in protocol 3": proto(3) + frame(NONE + STOP),
        "hexadecimal INT": op("INT", b"0x10\n") + STOP,
        "octal INT": op("INT", b"010\n") + STOP,
        "INT with blanks": op("INT", b" 1\n") + STOP,
        "INT with underscore": op("INT", b"1_0\n") + STOP,
        "INT with plus": op("INT", b"+1\n") + STOP,
        "INT with carriage return": op("INT", b"1\r\n") + STOP,
        "LONG of words": op("LONG", b"oneL\n") + STOP,
        "LONG with two L": op("LONG", b"1LL\n") + STOP,
        "endless LONG": op("LONG", b"9" * 5000 + b"L\n") + STOP,
        "FLOAT with underscore": op("FLOAT", b"1_0.5\n") + STOP,
        "FLOAT with words": op("FLOAT", b"infinity\n") + STOP,
        "PUT with blanks": NONE + op("PUT", b" 0\n") + STOP,
        "PUT with a leading zero": NONE + op("PUT", b"00\n") + STOP,
        "negative PUT": NONE + op("PUT", b"-1\n") + STOP,
        "GET in hexadecimal": NONE + op("PUT", b"0\n") + POP + op("GET", b"0x0\n") + STOP,
        "STRING without quotes": op("STRING", b"abc\n") + STOP,
        "STRING with one quote": op("STRING", b"'\n") + STOP,
        "STRING that is not ASCII": proto(2) + op("STRING", b"'\xe4'\n") + STOP,
        "STRING with half an escape": proto(2) + op("STRING", b"'\\x4'\n") + STOP,
        "STRING that escapes its quote": proto(2) + op("STRING", b"'\\'\n") + STOP,
        "BINSTRING that is not ASCII": proto(2) + op("SHORT_BINSTRING", b"\x01\xe4") + STOP,
        "PERSID that is not ASCII": proto(2) + op("PERSID", b"\xe4\n") + STOP,
        "text that is not UTF-8": proto(2) + op("BINUNICODE", struct.pack("<I", 2) + b"\xff\xfe") + STOP,
        "half an escape in UNICODE": proto(2) + op("UNICODE", b"\\u12\n") + STOP,
        "GLOBAL that is not ASCII": op("GLOBAL", "numpy\nß\n".encode()) + STOP,
        "backslash in GLOBAL": global_("po\\x73ix", "system") + STOP,
        "carriage return in GLOBAL": op("GLOBAL", b"posix\r\nsystem\r\n") + STOP,
        "blank in GLOBAL": op("GLOBAL", b"posix \nsystem\n") + STOP,
        "no name in GLOBAL": op("GLOBAL", b"posix\n\n") + STOP,
        "GLOBAL that is not UTF-8": op("GLOBAL", b"po\xffsix\nsystem\n") + STOP,
        "name with a dash": proto(4) + stack_global("numpy", "a-b") + STOP,
        "name with a colon": proto(4) + stack_global("numpy:x", "y") + STOP,
        "name that is a number": proto(4) + number(1) + text("system") + op("STACK_GLOBAL") + STOP,
        "name with two dots": proto(4) + stack_global("numpy", "f2py..os") + STOP,
        "overlong name": proto(4) + text("a" * 255) + text8("b" * 300) + op("STACK_GLOBAL") + STOP,
        "declared length too long": proto(4) + op("BINBYTES", struct.pack("<I", 1 << 31)) + b"x" + STOP,
        "negative BINSTRING": proto(2) + op("BINSTRING", struct.pack("<i", -1)) + STOP,
        "negative LONG4": proto(2) + op("LONG4", struct.pack("<i", -4)) + STOP,
        "huge BINBYTES8": proto(4) + op("BINBYTES8", struct.pack("<Q", 1 << 62)) + b"x" + STOP,
        "huge BINUNICODE8": proto(4) + op("BINUNICODE8", struct.pack("<Q", (1 << 64) - 1)) + STOP,
        "bad UTF-8 in a name": proto(4)
        + op("SHORT_BINUNICODE", b"\x02\xff\xfe")
        + text("x")
        + op("STACK_GLOBAL")
        + STOP,
        "out-of-band buffer": proto(5) + op("NEXT_BUFFER") + STOP,
        "read-only buffer": proto(5) + NONE + op("READONLY_BUFFER") + STOP,
        "odd SETITEMS": proto(4) + EMPTY_DICT + MARK + text("a") + op("SETITEMS") + STOP,
        "odd DICT": MARK + text0("a") + op("DICT") + STOP,
        "APPEND on a number": proto(4) + number(1) + NONE + op("APPEND") + STOP,
        "SETITEM on a list": proto(4) + EMPTY_LIST + number(0) + NONE + op("SETITEM") + STOP,
        "ADDITEMS on a list": proto(4) + EMPTY_LIST + MARK + NONE + op("ADDITEMS") + STOP,
        "BUILD on a list": proto(4) + EMPTY_LIST + EMPTY_DICT + BUILD + STOP,
        "REDUCE of a number": proto(4) + number(1) + EMPTY_TUPLE + REDUCE + STOP,
        "REDUCE with a list": proto(4) + stack_global("numpy", "ndarray") + EMPTY_LIST + REDUCE + STOP,
        "OBJ of nothing": proto(2) + MARK + op("OBJ") + STOP,
    }


def _bombs() -> dict[str, bytes]:
    laughs = [EMPTY_LIST + op("MEMOIZE") + MARK + NONE * 10 + op("APPENDS")]
    for level in range(11):
        again = op("BINGET", bytes([level])) * 10
        laughs.append(EMPTY_LIST + op("MEMOIZE") + MARK + again + op("APPENDS"))
    tuples = NONE + TUPLE1 + b"".join(op("DUP") + op("TUPLE2") for _ in range(60))
    return {
        "deep lists": proto(2) + EMPTY_LIST * 100_000 + op("APPEND") * 99_999 + STOP,
        "deep tuples": proto(2) + NONE + TUPLE1 * 100_000 + STOP,
        "deep dicts": proto(2) + EMPTY_DICT + (text1("a") + EMPTY_DICT) * 300 + op("SETITEM") * 300 + STOP,
        "deep frozensets": proto(4) + MARK * 300 + NONE + op("FROZENSET") * 300 + STOP,
        "many open MARKs": proto(2) + MARK * 20_000 + NONE + STOP,
        "billion laughs": proto(4) + MARK + b"".join(laughs) + op("LIST") + STOP,
        "tuple laughs": proto(4) + tuples + STOP,
        "too many opcodes": proto(2) + (NONE + POP) * 1_000_001 + NONE + STOP,
    }


MALFORMED: dict[str, bytes] = {**_archives(), **_broken(), **_bombs()}
"""Refused in every mode, before any policy is asked."""
