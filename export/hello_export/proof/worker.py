"""The program of an engine's process, which `isolation` starts.

Requests are pickles on its standard input: the engine's class, whose library it imports; the file
to open; then each case. Each has an answer, a pickle on its standard output: None, outputs, or an
error, after which the process ends. It also ends when its standard input does, and so with its
parent.
"""

from __future__ import annotations

import gc
import os
import pickle
import tempfile
from contextlib import suppress
from importlib import import_module
from queue import SimpleQueue
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

from hello_runtime.errors import first_line

from hello_export.errors import ParityError

if TYPE_CHECKING:
    from hello_export.proof.engines import Engine


def serve() -> None:
    """Import the engine, open the file and check its declaration, then answer each case."""
    requests: SimpleQueue[bytes] = SimpleQueue()
    answers = take_over(1, "wb")
    Thread(target=pass_on, args=(take_over(0, "rb"), requests), daemon=True).start()

    def answer(content: object) -> None:
        pickle.dump(content, answers)
        answers.flush()

    try:
        engine: type[Engine] = pickle.loads(requests.get())
        if engine.library:
            import_module(engine.library)
        gc.freeze()
        gc.enable()
        answer(None)
        config, folder, temporary = pickle.loads(requests.get())
        if temporary:
            keep_files_in(temporary)
        opened = engine(config, folder)
        opened.check_declaration()
        answer(None)
        while True:
            answer(opened.run(pickle.loads(requests.get())))
    except ParityError as error:
        answer(error)
    except Exception as error:  # each engine raises classes of its own, and not all can be pickled
        answer(RuntimeError(first_line(error)))
    os._exit(0)  # the other thread still waits for requests


def keep_files_in(folder: str) -> None:
    """Have this process, and those that it starts, write their temporary files into a folder."""
    os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder))
    tempfile.tempdir = folder


def take_over(descriptor: int, mode: str) -> IO[Any]:
    """Return a standard stream; the null device takes its place, so an engine's prints are lost."""
    stream = os.fdopen(os.dup(descriptor), mode)
    os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    return stream


def pass_on(stream: IO[bytes], requests: SimpleQueue[bytes]) -> None:
    """Pass requests on until the stream ends, then end the process, even while its engine works.

    The stream ends when the parent closes it, and when the parent ends in any way.
    """
    with suppress(EOFError, pickle.UnpicklingError):
        while True:
            requests.put(pickle.load(stream))
    os._exit(0)
