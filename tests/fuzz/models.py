"""Opens and uses damaged and hostile model files, and counts what comes of it.

    python tests/fuzz/models.py [--files 100000] [--seed 1] [--first 0] [--keep FOLDER]

Each file is made by `mutations` from the seed and its number, and goes through this in a process
that has opened others before it:

- Where the runtime's reader takes the bytes, both parsers of the onnx package (Python's, and that
  of C++ by way of `onnx.inliner`) must read the very same messages, with nothing beside them, and
  so no tensor that has its values elsewhere.
- The file is opened, and does what its task is with some texts in every way there is. Either all of
  that works, and gives texts that such a model can give, or it ends in an error of the runtime's
  own classes, in one line that does nothing to a terminal.
- It takes at most two seconds of CPU time and 500 MB of memory, the process lives on, and nothing
  is written to stdout or stderr.

What does otherwise is counted as a fault, by kind; exit code 1 if there is one. A hundred thousand
files take about half an hour of one core.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.mutations import mutated

if TYPE_CHECKING:
    from hello_runtime import Decoder

CPU_SECONDS = 2.0
MEGABYTES = 500
ADDRESS_SPACE = 8 << 30
"""What protects the machine; a file that takes more than `MEGABYTES` is found before."""

TEXTS = ["hello", "", "żółw", "a\u0301🦀\ud800\0\r", "ehlo" * 12, "o"]
LONG = "hello, żółw " * 400
DRAWN = 10


def make_file(seed: int, number: int) -> bytes:
    """Return one of the files."""
    return mutated(Random(f"{seed}/{number}"))


# In the process that opens them.


def serve(seed: int, first: int, stop: int, folder: Path) -> None:
    """Open the files of some numbers, and print for each its number, and then what came of it."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8", newline="\n")
    noise = (folder / "noise").open("wb+")
    for stream in (1, 2):
        os.dup2(noise.fileno(), stream)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    outcome(seed, 0, folder)  # so that what is loaded once is in the memory that counts as ours
    before = peak_megabytes()
    for number in range(first, stop):
        content = make_file(seed, number)
        (folder / "model.onnx").write_bytes(content)
        print(number, file=answers)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        said = outcome(seed, number, folder)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.flush()
        if os.fstat(noise.fileno()).st_size:
            noise.truncate(0)
            said = "FAULT: it wrote to stdout or stderr"
        if (took := peak_megabytes() - before) > MEGABYTES:
            said, before = f"FAULT: more than {MEGABYTES} MB", before + took
        print(said, file=answers)


def peak_megabytes() -> int:
    """Return the most memory that this process had; what `resource` tells is also its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def outcome(seed: int, number: int, folder: Path) -> str:
    """Return what comes of a model file: what worked, or the class of its error."""
    from hello_runtime import HelloRuntimeError

    try:
        reading = compare_readings((folder / "model.onnx").read_bytes())
        use(folder / "model.onnx", number)
    except HelloRuntimeError as error:
        text = str(error)
        if len(text) > 2000 or not text.isprintable():
            return f"FAULT: an error of {len(text)} characters, printable: {text.isprintable()}"
        by_engine = ", of the engine" * ("onnxruntime cannot open" in text)
        return f"{reading}, {type(error).__name__}{by_engine}"
    except Exception as error:
        return f"FAULT: {type(error).__name__}: {str(error)[:200]!r}"
    return f"{reading}, decoded"


def use(file: Path, number: int) -> None:
    """Do with texts what a model's task is."""
    from hello_runtime import DecodeColumn, Decoder, PolicyError, TaskError

    try:
        decoder = Decoder.open(file, threads=1, unknown="copy")
    except PolicyError:
        decoder = Decoder.open(file, threads=1)
    texts = [*TEXTS, LONG] if number % 8 == 0 else TEXTS
    if decoder.info.unknown == "error":
        known = set(decoder.info.input_alphabet)
        texts = ["".join(filter(known.__contains__, text)) for text in texts]
    {"rewrite": rewrite, "classify": classify, "next": go_on}[decoder.info.task](decoder, texts)
    decoder.info.input_alphabet.encode()
    with suppress(TaskError):
        DecodeColumn(str(file))


def rewrite(decoder: Decoder, texts: Sequence[str]) -> None:
    """Decode texts in every way."""
    longest = max(map(len, decoder.info.output_labels)) if decoder.info.format_version > 1 else None
    check_texts = partial(check_outputs, longest)
    for text in texts:
        check_texts([text], [decoder.decode(text)])
    check_texts(texts, decoder.decode_batch(texts))
    (batch,) = decoder.decode_batches([texts])
    check_texts(texts, batch)
    annotations = decoder.annotate_batch(texts)
    check_texts(texts, [annotation.text for annotation in annotations])
    assert [len(annotation.confidence) for annotation in annotations] == [*map(len, texts)]
    if decoder.info.causal:
        stream = decoder.stream()
        check_texts(texts[:1], [stream.feed(texts[0][:2]) + stream.feed(texts[0][2:])])


def classify(decoder: Decoder, texts: Sequence[str]) -> None:
    """Find the class of texts in every way."""
    classes = decoder.info.classes
    batch = decoder.classify_batch(texts)
    found = [*map(decoder.classify, texts), *batch]
    for text, row in zip([*texts, *texts], found, strict=True):
        assert row.label in classes if text else row.label == ""
        assert len(row.probabilities) == len(classes)
    assert decoder.decode_batch(texts) == [row.label for row in batch]


def go_on(decoder: Decoder, texts: Sequence[str]) -> None:
    """Continue texts in every way."""
    known = set(decoder.info.input_alphabet)
    for text in [text for text in texts if text]:
        for temperature, top in ((0.0, None), (1e-3, 2), (1e6, None)):
            drawn = "".join(decoder.generate(text, DRAWN, temperature=temperature, top=top, seed=1))
            assert len(drawn) == DRAWN
            assert known.issuperset(drawn)
    batch = decoder.generate_batch([text or texts[0] for text in texts], DRAWN, seed=1)
    assert all(len(drawn) == DRAWN and known.issuperset(drawn) for drawn in batch)


def check_outputs(longest: int | None, given: Sequence[str], decoded: Sequence[str]) -> None:
    """Check what holds for every model: no line that was none, and no more than its labels write.

    Without a `longest` label there is one character for each.
    """
    if longest is not None:
        for before, after in zip(given, decoded, strict=True):
            assert len(after) <= longest * len(before)
            assert "\n" in before or "\n" not in after
        return
    assert [*map(len, given)] == [*map(len, decoded)]
    for before, after in zip(given, decoded, strict=True):
        new = [char for char, old in zip(after, before, strict=True) if char != old]
        "".join(new).encode()
        assert "\n" not in new


def compare_readings(content: bytes) -> str:
    """Return whether the runtime's reader takes some bytes; if so, compare with other parsers."""
    import onnx
    from hello_runtime.model.onnx_wire import Graph, Model, read_message
    from onnx.onnx_cpp2py_export import inliner

    try:
        model = read_message(Model, content)
        graph = read_message(Graph, model.graph)
    except ValueError:
        return "not read"
    rewritten = inliner.inline_local_functions(content, False)
    for given in (content, rewritten):
        proto = onnx.load_model_from_string(given)
        check_same(model, proto)
        check_same(graph, proto.graph)
    return "read"


def check_same(ours: Any, proto: Any) -> None:
    """Check that a message of the runtime's reader is what another parser has."""
    from google.protobuf.unknown_fields import UnknownFieldSet
    from hello_runtime.model.onnx_wire import FIELDS

    known = {field.name: field for field in FIELDS[type(ours)].values()}
    assert not UnknownFieldSet(proto), "a parser has a field that is unknown"
    for descriptor, _ in proto.ListFields():
        assert descriptor.name in known, f"a parser has {descriptor.name}"
    for name, field in known.items():
        mine, theirs = getattr(ours, name), getattr(proto, name)
        if name == "graph":
            continue
        if field.kind not in (int, str, bytes):
            pairs = zip(mine, theirs, strict=True) if field.repeated else [(mine, theirs)]
            for part, other in pairs:
                if part is not None:
                    check_same(part, other)
                else:
                    assert not proto.HasField(name)
        elif field.repeated:
            assert [*map(plain, mine)] == [*map(plain, theirs)], name
        elif mine is not None:
            assert plain(mine) == plain(theirs), name


def plain(value: Any) -> Any:
    """Return a value as the bytes or the number that it is."""
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, int) else bytes(value)


# In the process that counts.


def outcomes(seed: int, first: int, stop: int, script: str = __file__) -> Iterator[tuple[int, str]]:
    """Yield the number of each file, and what came of it."""
    while first < stop:
        with tempfile.TemporaryDirectory() as name:
            # A fresh process from time to time, so that its memory tells what a file takes.
            last = min(first + 2000, stop)
            command = [sys.executable, script, "--serve", *map(str, (seed, first, last, name))]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout
                said = "nothing"
                for line in process.stdout:
                    said = process.stdout.readline().rstrip("\n")
                    first = int(line) + 1
                    yield int(line), said or "FAULT: " + how_it_ended(process.wait())
            if process.returncode and said:  # it ended between two files
                raise RuntimeError(Path(name, "noise").read_text(errors="replace"))


def how_it_ended(code: int) -> str:
    """Return what ended a process."""
    if code == -signal.SIGPROF:
        return f"more than {CPU_SECONDS} s of CPU time"
    return f"the process died ({signal.Signals(-code).name if code < 0 else code})"


def main() -> None:
    parser = argparse.ArgumentParser(description="Open damaged and hostile model files.")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first file")
    parser.add_argument("--keep", type=Path, help="a folder for the files that are a fault")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for number, said in outcomes(options.seed, options.first, options.first + options.files):
        counts[said] += 1
        if said.startswith("FAULT"):
            print(f"file {number}: {said}", flush=True)
            if options.keep:
                options.keep.mkdir(exist_ok=True)
                name = options.keep / f"{options.seed}-{number}.onnx"
                name.write_bytes(make_file(options.seed, number))
        if sum(counts.values()) % 1000 == 0:
            print(f"{sum(counts.values())} files: {dict(counts.most_common())}", flush=True)
    for said, count in counts.most_common():
        print(f"{count:>8}  {said}")
    sys.exit(any(said.startswith("FAULT") for said in counts))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        seed, first, stop = map(int, sys.argv[2:5])
        serve(seed, first, stop, Path(sys.argv[5]))
    else:
        main()
