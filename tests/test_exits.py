"""Processes that end, or fork, while threads decode: none hangs, and none dies in the engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hello_runtime.engine.lifecycle import LIFECYCLE, Lifecycle
from hello_runtime.engine.workers import Workers
from stress.exits import CASES, run_case, write_lines


@pytest.mark.parametrize("name", CASES)
def test_a_process_ends_while_threads_decode(name: str, tmp_path: Path) -> None:
    write_lines(tmp_path)
    assert run_case(CASES[name], tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["lines.txt"]


def answers(script: str) -> list[str]:
    """Return what a script prints, which ends without a word on stderr."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


AT_EXIT = """
import atexit
def late():
    try:
        while next(batches): pass
    except RuntimeError as error:
        print(error)
    print(*decoder.decode_batch(["hello", "x" * 99])[:1])
atexit.register(late)  # before the package's own, and so run after it
from hello_runtime import Decoder
decoder = Decoder.open(unknown="copy", threads=2)
batches = decoder.decode_batches([str(i) * j for j in range(1, 99)] for i in range(1000))
next(batches)
"""


def test_what_was_stopped_at_exit_says_so_and_a_new_batch_needs_no_thread() -> None:
    assert answers(AT_EXIT) == ["decoding was stopped, because the interpreter exits", "ohlol"]


FORKS = """
import os, signal, threading
from hello_runtime import Decoder, ForkError
from hello_runtime.engine import calls as module

def child(action):
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)  # ends a child that hangs
        try:
            print(action(), flush=True)
        except ForkError as error:
            print(str(error).partition(";")[0], flush=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

class Slow:
    "A session in which a thread stays until it is let go."
    def __init__(self, session):
        self.session, self.begun, self.end = session, threading.Event(), threading.Event()
    def run(self, *arguments):
        self.begun.set()
        self.end.wait()
        return self.session.run(*arguments)

def beside(slow, action):
    thread = threading.Thread(target=action)
    thread.start()
    slow.begun.wait()
    return thread

decoder, other = Decoder.open(threads=2), Decoder.open(threads=2)
child(lambda: decoder.decode("hello"))  # nothing else is at work

batches = decoder.decode_batches([["hello" * i for i in range(1, 99)] for _ in range(3)])
next(batches)
child(lambda: next(batches))
child(lambda: batches.close())
child(lambda: decoder.decode_batch(["hello", "hello" * 99])[0])
print(sum(map(len, batches)))

slow = other._session = Slow(other._session)
thread = beside(slow, lambda: other.decode("hello"))
child(lambda: decoder.decode("hello"))
child(lambda: Decoder.open().decode("hello"))
slow.end.set()
thread.join()
child(lambda: other.decode("hello"))

slow, open_session = Slow(None), module.open_session
slow.run = lambda *arguments: (Slow.run, slow.begun.set(), slow.end.wait())
module.open_session = lambda *arguments: (slow.run(), open_session(*arguments))[1]
thread = beside(slow, Decoder.open)
child(lambda: decoder.decode("hello"))
child(Decoder.open)
slow.end.set()
thread.join()
print(decoder.decode("hello"))
"""

LOCKED = (
    "this process was forked while another thread decoded, and the model may be locked for ever"
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_decodes_or_says_why_not() -> None:
    assert answers(FORKS) == [
        "ohlol",
        "this process was forked while it decoded batches, and the threads that do so are in its "
        "parent",
        "None",
        "ohlol",
        str(2 * 98),
        LOCKED,
        "ohlol",
        "ohlol",
        LOCKED,
        "this process was forked while another thread opened a model, and onnxruntime may be "
        "locked for ever",
        "ohlol",
    ]


def test_workers_are_known_while_they_have_threads() -> None:
    with Workers(2) as workers:
        workers.start(str, [1])
        assert workers not in LIFECYCLE.workers
        (first, _) = workers.start(str, [1, 2])
        assert first() == "1"
        assert workers in LIFECYCLE.workers
    assert workers not in LIFECYCLE.workers
    workers.stop()
    with pytest.raises(RuntimeError, match="decoding was stopped"):
        workers.start(str, [1, 2])


def test_only_the_thread_that_exits_may_enter_the_engine() -> None:
    lifecycle = Lifecycle()
    thread = lifecycle.enter(0)
    assert lifecycle.calling == {thread}
    lifecycle.exit()  # does not wait for itself
    assert lifecycle.enter(0) == thread
    lifecycle.exiting = thread + 1
    with pytest.raises(SystemExit):
        lifecycle.enter(0)
