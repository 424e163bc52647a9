"""What the code of a function can't do, whatever it tries; in both ways of keeping files away."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.destinations.functions import frames, sandbox
from penstock.destinations.functions.child import Child, Ended

EVENT = json.dumps({"type": "track", "event": "Order", "properties": {"total": 1}}).encode()
WAYS = [sandbox.LANDLOCK, sandbox.CLOSED]
Try = Callable[[str], frames.Answer]

if sys.platform != "linux":
    pytest.skip("functions run on Linux only", allow_module_level=True)


def _no_network(_: frames.Fetch, _seconds: float) -> frames.Fetched:
    return frames.Fetched(0, error="none")


def _child(files: str, source: str, *, timeout: float = 30.0, memory: int = 64 << 20) -> Child:
    child = Child(timeout=timeout, memory=memory, carry=_no_network, files=files)
    child.load("tried.py", source, {"key": "own secret"})
    return child


@pytest.fixture(params=WAYS)
def files(request: pytest.FixtureRequest) -> str:
    """Both ways, where the kernel has both."""
    way = str(request.param)
    if way == sandbox.LANDLOCK and sandbox.available() != sandbox.LANDLOCK:
        pytest.skip("this kernel has no Landlock")
    return way


@pytest.fixture
def attempt(files: str) -> Iterator[Try]:
    """Runs statements in a function, on one event."""
    children: list[Child] = []

    def run(statements: str) -> frames.Answer:
        body = "".join(f"    {line}\n" for line in statements.splitlines())
        children.append(_child(files, f"def on_track(event, settings):\n{body}    return event\n"))
        answers: list[frames.Answer] = []
        children[-1].run([EVENT], answers.append)
        return answers[0]

    yield run
    for child in children:
        child.close()


def test_it_computes_imports_and_prints(attempt: Try) -> None:
    answer = attempt(
        "import datetime, hashlib, re\n"
        "event['properties']['day'] = datetime.datetime.strptime('2026-02-01', '%Y-%m-%d').day\n"
        "event['properties']['hash'] = hashlib.sha256(b'a').hexdigest()[:4]\n"
        "print('seen', settings['key'])"
    )
    (event,) = map(json.loads, answer.events)
    assert event["properties"] == {"total": 1, "day": 1, "hash": "ca97"}
    assert answer.printed == "seen own secret\n"


@pytest.mark.parametrize(
    "statements",
    [
        "open('/etc/passwd').read()",
        "import os; os.listdir('/')",
        "import os; os.open('/proc/self/environ', 0)",
        "import os; open(f'/proc/{os.getppid()}/environ', 'rb').read()",
        "import os; open(f'/proc/{os.getppid()}/mem', 'rb').read()",
        "open('/tmp/written', 'w')",
        "import os; os.mkdir('/tmp/made')",
        "import os; os.unlink('/tmp/written')",
        "import os; os.fork()",
        "import os; os.posix_spawn('/bin/true', ['true'], {})",
        "import os; os.execv('/bin/true', ['true'])",
        "import os; os.kill(os.getppid(), 9)",
        "import os; os.kill(-1, 9)",
        "import os; os.memfd_create('room')",
        "import _socket; _socket.socket()",
        "import _socket; _socket.socketpair()",
        "import _thread; _thread.start_new_thread(print, ())",
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "import fcntl; fcntl.fcntl(0, fcntl.F_SETOWN, 1)",
    ],
)
def test_what_reaches_beyond_it_is_refused(attempt: Try, statements: str) -> None:
    answer = attempt(statements)
    assert answer.kind == frames.FAILED
    assert answer.message.startswith(
        (
            "PermissionError",
            "ModuleNotFoundError",
            "RuntimeError: can't start",
            "ValueError: not allowed",
        )
    ), answer.message
    assert answer.line == 2


def test_system_calls_past_python_are_refused_too(attempt: Try) -> None:
    numbers = [41, 57, 59, 101, 321] if os.uname().machine == "x86_64" else [198, 220, 221, 117]
    answer = attempt(
        "import _ctypes, ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"for number in {numbers}:\n"
        "    assert libc.syscall(number, 2, 1, 0) == -1\n"
        "    assert ctypes.get_errno() == 1, number"
    )
    assert (answer.kind, answer.message) == (frames.PASSED, "")


def test_its_environment_is_empty(attempt: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SECRET", "of the parent")
    answer = attempt("import os; print(sorted(os.environ))")
    assert "PENSTOCK" not in answer.printed
    assert "PATH" not in answer.printed


def test_files_of_the_data_folder_can_not_be_read(attempt: Try, tmp_path: Path) -> None:
    secret = tmp_path / "secret.key"
    secret.write_text("key")
    secret.chmod(0o644)
    answer = attempt(f"open({str(secret)!r}).read()")
    assert answer.kind == frames.FAILED
    assert "PermissionError" in answer.message


def test_it_has_no_rights_and_no_root(files: str) -> None:
    child = _child(files, "def on_event(event, settings):\n    return event\n")
    status = Path(f"/proc/{child.pid}/status").read_text()
    child.close()
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(lines["CapEff"], 16) == int(lines["CapPrm"], 16) == 0
    assert (lines["NoNewPrivs"], lines["Seccomp"]) == ("1", "2")
    if os.geteuid() == 0 and files == sandbox.CLOSED:
        assert set(lines["Uid"].split()) == {"65534"}


def test_an_endless_loop_is_stopped_and_names_its_event(files: str) -> None:
    source = (
        "def on_track(event, settings):\n"
        "    while event['properties']['total'] == 2:\n"
        "        pass\n"
        "    return event\n"
    )
    child = _child(files, source, timeout=1.0)
    events = [EVENT.replace(b"1", total) for total in (b"1", b"1", b"2", b"1")]
    with pytest.raises(Ended, match="longer than 1 s") as ended:
        child.run(events, lambda _: None)
    assert (ended.value.at, ended.value.late) == (2, True)
    assert not _lives(child.pid)


def test_sleeping_is_no_way_around_the_time_limit(files: str) -> None:
    source = "import time\ndef on_track(event, settings):\n    time.sleep(10_000)\n"
    child = _child(files, source, timeout=1.0)
    with pytest.raises(Ended, match="longer than 1 s"):
        child.run([EVENT], lambda _: None)


@pytest.mark.parametrize("greed", ["bytes(1 << 40)", "keep.append('a' * 1_000_000)"])
def test_memory_beyond_the_limit_fails_that_event(files: str, greed: str) -> None:
    source = (
        "keep = []\ndef on_track(event, settings):\n"
        f"    while event['properties']['total'] == 2:\n        {greed}\n    return event\n"
    )
    child = _child(files, source, memory=32 << 20)
    answers: list[frames.Answer] = []
    with pytest.raises(Ended) as ended:
        child.run([EVENT, EVENT.replace(b"1", b"2"), EVENT], answers.append)
    assert [(answer.kind, answer.out_of_memory) for answer in answers] == [
        (frames.PASSED, False), (frames.FAILED, True),
    ]  # fmt: skip
    assert ended.value.at == 2


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("import os; os._exit(7)", "status 7"),
        ("import ctypes; ctypes.string_at(0)", f"signal {signal.SIGSEGV.value}"),
    ],
)
def test_a_process_that_ends_is_told(files: str, statement: str, reason: str) -> None:
    child = _child(files, f"def on_track(event, settings):\n    {statement}\n    return event\n")
    with pytest.raises(Ended, match=reason) as ended:
        child.run([EVENT, EVENT], lambda _: None)
    assert ended.value.at == 0


def test_endless_output_is_cut_off(attempt: Try) -> None:
    answer = attempt("for _ in range(10_000):\n    print('spam' * 1_000)")
    assert answer.kind == frames.PASSED
    assert len(answer.printed) == 2_000


@pytest.mark.parametrize("what", ["b'\\xff' * 70_000", "b'nonsense, nothing but nonsense' * 100"])
def test_writing_over_the_answers_ends_it(files: str, what: str) -> None:
    source = (
        "import os\ndef on_track(event, settings):\n"
        "    for number in range(3, 9):\n"
        "        try:\n"
        f"            while True:\n                os.write(number, {what})\n"
        "        except OSError:\n            pass\n    return event\n"
    )
    child = _child(files, source, timeout=5.0)
    with pytest.raises(Ended):
        child.run([EVENT], lambda _: None)
    assert not _lives(child.pid)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_ends_with_the_process_that_started_it(files: str, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    pid = os.fork()
    if pid == 0:
        child = _child(files, "def on_track(event, settings):\n    while True: pass\n")
        told.write_text(str(child.pid))
        child.run([EVENT], lambda _: None)
        os._exit(0)
    deadline = time.monotonic() + 60
    while not told.exists() or not told.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    runner = int(told.read_text())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while _lives(runner) and _state(runner) != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
