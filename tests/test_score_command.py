"""`hello-infer --score`, run as a user would, beside what `hello-train` prints."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from command_server import CommandServer
from hello_export.graph.onnx_graph import build_model
from hello_export.manifest import digest
from hello_runtime import Decoder
from hello_runtime.scoring import score_model
from hello_runtime.text.baseline import BASELINE_BYTES, read_baseline
from hello_runtime.text.pairs import Pair, read_pairs, write_pairs
from hello_runtime.text.score import Score, score_outputs
from hello_train.data.alphabets import changeable, count_substitutions
from hello_train.fit.counting import count_baseline
from hello_train.network.checkpoint import load_checkpoint
from helpers import SHORT_PROOF, TRAINING, Run, assert_one_line_error, make_network

POLISH = Path(__file__).parent / "data" / "zolw.txt"

LEARNED = [
    Pair("ab b_1 a", "żb b_1 ż"),
    Pair("ab ab 1a", "żb ab 1ż"),
    Pair("b\u0301a 😀a", "b\u0301ż ba"),
]
"""The training lines of the baseline."""
AWKWARD = [
    Pair("ab", "żb"),
    Pair("... -- 😀", "... -- b"),
    Pair("b_1 1a a1 _a _", "b_1 1ż a1 _ż _"),
    Pair("a\u0301b e\u0301", "ż\u0301b é\u0301"),
    Pair("😀a\U0010ffff🦀ab", "ba\U0010ffff🦀żb"),
    Pair("ſKⅣ²٣ß漢ab", "ſKⅣ²٣ß漢żb"),
    Pair(
        "_\ufeffab\u2028ab\x85ab\x0bab\x1cab\rab\0ab", "_\ufeffżb\u2028ab\x85żb\x0bżb\x1cżb\rżb\0żb"
    ),
    Pair(" ab", " żb"),
    Pair("bbb", "bbb"),
    Pair("a" * 5000, "ż" * 5000),
]
"""Lines that are easily counted wrong: without a word, beyond the plane, unknown."""


def random_pairs(count: int) -> list[Pair]:
    """Return different lines whose targets are their inputs, a character in five drawn anew."""
    source = random.Random(0)
    chars = "abż\u0301😀🦀e_1 .-\u00a0"

    def target(text: str) -> str:
        return "".join(source.choice(chars) if source.random() < 0.2 else char for char in text)

    texts = ["a" + "".join(source.choices(chars, k=source.randint(0, 60))) for _ in range(count)]
    return [Pair(text, target(text)) for text in dict.fromkeys(texts)]


def counted_by_hand(pairs: list[Pair], outputs: list[str], changeable: frozenset[str]) -> Score:
    """Return the score of outputs, counted line after line."""
    characters = words = right_words = lines = 0
    for pair, output in zip(pairs, outputs, strict=True):
        characters += sum(a == b for a, b in zip(output, pair.target, strict=True))
        lines += output == pair.target
        for word in re.finditer(r"\w+", pair.input):
            if changeable & set(word.group()):
                words += 1
                right_words += output[slice(*word.span())] == pair.target[slice(*word.span())]
    total = sum(len(pair.input) for pair in pairs)
    share = right_words / words if words else None
    return Score(characters / total, share, lines / len(pairs), total, words, len(pairs))


LINES = [*AWKWARD, *random_pairs(500)]


@pytest.mark.parametrize("pairs", [*([pair] for pair in AWKWARD), LINES])
def test_scores_are_what_one_would_count(pairs: list[Pair], tmp_path: Path) -> None:
    """Each line is there twice, the second time half as the model writes it."""
    onnx.save(build_model(make_network(guarded=True), TRAINING), tmp_path / "model.onnx")
    decoder = Decoder.open(tmp_path, threads=2)
    baseline = count_baseline(LEARNED, changeable(count_substitutions(LEARNED)))
    halves = [
        Pair(pair.input, output[: len(output) // 2] + pair.target[len(output) // 2 :])
        for pair, output in zip(pairs, decoder.decode_batch([p.input for p in pairs]), strict=True)
    ]
    pairs = [*pairs, *halves]
    write_pairs(tmp_path / "pairs.tsv", pairs)
    inputs = [pair.input for pair in pairs]
    outputs = decoder.decode_batch(inputs)
    rows = {
        "no change": inputs,
        "most frequent target": list(map(baseline.rewrite, inputs)),
        "model": outputs,
    }
    expected = {
        name: counted_by_hand(pairs, row, baseline.changeable) for name, row in rows.items()
    }
    assert score_outputs(pairs, outputs, baseline) == expected
    assert score_model(decoder, tmp_path / "pairs.tsv", baseline) == expected
    if len(pairs) > 2:  # lines that are all right, or all wrong, would say little
        assert all(0 < score.lines < score.characters < 1 for score in expected.values())
        assert len({score.words for score in expected.values()}) == 3


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\tb", [(1, "a", "b")]),
        (b"a\tb\r", [(1, "a", "b")]),
        (b"a\tb\r\n", [(1, "a", "b")]),
        (b"a\r\tb\r\r\nc\r\td\r\r", [(1, "a\r", "b\r"), (2, "c\r", "d\r")]),
        (b"\n\r\n\na\tb\n\n\t\nc\td\n\r", [(4, "a", "b"), (7, "c", "d")]),
        (b"\xef\xbb\xbfa\tb\nc\td\n", [(1, "a", "b"), (2, "c", "d")]),
        (b"\xef\xbb\xbf\n\xef\xbb\xbfa\tbc\n", [(2, "\ufeffa", "bc")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfa\tbc\n", [(1, "\ufeffa", "bc")]),
        ("😀\u2028\ta\x85\n\0\t\x0c\n".encode(), [(1, "😀\u2028", "a\x85"), (2, "\0", "\x0c")]),
    ],
)
def test_pairs_are_read_with_their_lines(
    content: bytes, expected: list[tuple[int, str, str]], compressed: bool, tmp_path: Path
) -> None:
    (tmp_path / "pairs").write_bytes(gzip.compress(content) if compressed else content)
    assert [(number, *pair) for number, pair in read_pairs(tmp_path / "pairs")] == expected


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, servers: Callable[[str], CommandServer]
) -> Path:
    """A folder in which a small network was trained on `zolw.txt` and exported, with both logs."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(POLISH, folder / "zolw.txt")
    options = ["--corrupt", "strip-diacritics", "--hidden-size", "16", "--epochs", "60"]
    for command, *arguments in (
        ["hello-train", "--text", "zolw.txt", *options, "--holdout", "0.3", "--output", "run"],
        ["hello-export", "run"],
    ):
        result = servers(command).run(arguments, folder, environment=SHORT_PROOF)
        assert result.returncode == 0, result.stderr
        (folder / command).write_bytes(result.stdout)
    return folder


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """A copy of that run to spoil, in the folder where the commands run."""
    return Path(shutil.copytree(trained / "run", tmp_path / "run"))


MODEL = ("--model", "run/artifact", "--score")


def test_an_artifact_has_the_scores_of_its_training(run: Run, copied: Path, trained: Path) -> None:
    result = run("hello-infer", *MODEL, "run/holdout.tsv")
    assert (result.returncode, result.stderr) == (0, "")
    printed = (trained / "hello-train").read_text(encoding="utf-8").splitlines()[:5]
    assert printed[0].startswith("held-out lines  ")
    assert result.stdout.splitlines() == [
        printed[0].replace("held-out lines", "scored lines  "), *printed[1:]
    ]  # fmt: skip
    assert len(set(printed)) == 5
    for options in (["--threads", "1"], ["--unknown", "label"], ["--provider", "cpu"]):
        assert run("hello-infer", *MODEL, "run/holdout.tsv", *options).stdout == result.stdout


def test_json_has_the_numbers_that_the_checkpoint_has(run: Run, copied: Path) -> None:
    result = run("hello-infer", *MODEL, "run/holdout.tsv", "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout) == load_checkpoint(copied)[1].scores


def test_gzip_is_known_by_its_bytes(run: Run, copied: Path) -> None:
    expected = run("hello-infer", *MODEL, "run/holdout.tsv").stdout
    content = (copied / "holdout.tsv").read_bytes()
    (copied / "plain.gz").write_bytes(content)
    (copied / "packed.tsv").write_bytes(gzip.compress(content[:99]) + gzip.compress(content[99:]))
    for name in ("plain.gz", "packed.tsv"):
        assert run("hello-infer", *MODEL, copied / name).stdout == expected != ""
    piped = run("hello-infer", *MODEL, "/dev/stdin", stdin=gzip.compress(content))
    assert piped.stdout == expected


def test_a_guarded_model_alone_counts_the_same_words(run: Run, copied: Path) -> None:
    whole = run("hello-infer", *MODEL, "run/holdout.tsv").stdout.splitlines()
    (copied / "artifact/baseline.json").unlink()
    for model in (copied / "artifact", copied / "artifact/model.onnx"):
        alone = run("hello-infer", "--model", model, "--score", "run/holdout.tsv")
        rows = alone.stdout.splitlines()
        assert [*rows[:2], *rows[3:]] == [*whole[:2], *whole[3:]]
        assert rows[2].split() == ["most", "frequent", "target", "-", "-", "-"]
        (note,) = alone.stderr.splitlines()
        assert "no most frequent targets" in note
        assert "artifact/baseline.json; words count that the model's guard lets change" in note
    result = run("hello-infer", "--model", model, "--score", "run/holdout.tsv", "--json")
    rows = json.loads(result.stdout)
    assert rows["most frequent target"] is None
    assert rows["model"]["line_count"] == 7


def test_of_an_unguarded_model_alone_every_word_counts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("hello, hello 1\tohlol, hello 2\n...\t...\n")
    result = run("hello-infer", "--score", "pairs.tsv", "--unknown", "copy")
    assert result.returncode == 0
    assert re.search(r"baseline.json; every word counts$", result.stderr)
    assert result.stdout.splitlines() == [
        "scored lines          characters       words  exact lines",
        "no change                 70.59%      33.33%       50.00%",
        "most frequent target           -           -            -",
        "model                     70.59%      33.33%       50.00%",
        "of                            17           3            2",
    ]


def test_a_line_without_a_word_is_no_share_of_words(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("...\t..!\n")
    result = run("hello-infer", "--score", "pairs.tsv", "--unknown", "copy")
    assert result.stdout.splitlines()[1].split()[2:] == ["66.67%", "-", "0.00%"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    decoder = Decoder.open(threads=1)
    file = tmp_path / "pairs.tsv.gz"

    def peak(lines: int) -> int:
        with gzip.open(file, "wt", compresslevel=1) as stream:
            for _ in range(lines // 1000):
                stream.write(("hello" * 20 + "\t" + "ohlol" * 20 + "\n") * 1000)
        tracemalloc.start()
        try:
            rows = score_model(decoder, file, None)
            assert rows["model"]
            assert rows["model"].line_count == lines
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(20_000), peak(80_000)
    assert many < few + 1_000_000, (few, many)


LOADED = """
import sys
from hello_runtime.cli import main
main({arguments!r}, standalone_mode=False)
watched = {{"torch", "onnx", "hello_train", "hello_runtime.text.score", "gzip"}}
print(*sorted(watched & sys.modules.keys()))
"""


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [(["hello"], []), (["--score", "pairs.tsv"], ["gzip", "hello_runtime.text.score"])],
)
def test_what_is_loaded(arguments: list[str], loaded: list[str], tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("hello\tohlol\n")
    result = subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=arguments)],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.splitlines()[-1].split() == loaded


# Bad input: one line that names the place and the fix.

# A test is named by its bytes, and must be named alike in each worker: so no time of day in them.
PACKED = gzip.compress(b"hello\tohlol\n" * 1000, mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; it must hold lines of input, tab, target"),
        (b"\n\r\n\t\n", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (b"hello\tohlol\nhell\xff\tohlol\n", "line 2: byte 5 (0xff) is not UTF-8"),
        (b"\nhello\n", "line 2: 0 tabs; write input, one tab, target"),
        (b"hello\tohlol\thello\n", "line 1: 2 tabs"),
        (b"h\te\n\te", "line 2: "),
        (b"hello\tohlol\n\nhe11o\tohlol\n", "line 3: '1' (U+0031), character 3 of the text"),
        (b"hello\tohlol\n" * 200_000 + b"x\tx\n", "line 200001: 'x' (U+0078), character 1"),
        (PACKED[:-10], "damaged gzip"),
        (PACKED[:12] + b"\xff" * 9 + PACKED[21:], "damaged gzip"),
        (PACKED[:-8] + b"\0" * 8, "CRC check failed"),
        (PACKED + b"hello", "Not a gzipped file"),
    ],
)
def test_bad_pairs(run: Run, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "pairs.tsv").write_bytes(content)
    assert_one_line_error(run("hello-infer", "--score", "pairs.tsv"), "pairs.tsv", message)


def test_lines_that_a_model_cannot_get_right_are_counted_and_named(
    run: Run, tmp_path: Path
) -> None:
    """As the run's own held-out lines may be, whose labels were too rare to be learned."""
    (tmp_path / "pairs.tsv").write_text("hello\tohlol\nhello\tohlo\ne\u0301\té\n", "utf-8")
    result = run("hello-infer", "--score", "pairs.tsv", "--json", "--unknown", "copy")
    named = "pairs.tsv: the sides of 2 lines, the first of them line 2, differ in length, and"
    assert named in result.stderr
    assert json.loads(result.stdout)["model"]["lines"] == pytest.approx(1 / 3)


def test_pairs_that_are_not_there(run: Run) -> None:
    assert_one_line_error(run("hello-infer", "--score", "no.tsv"), "no.tsv", "No such file")
    assert_one_line_error(run("hello-infer", "--score", "."), "Is a directory")


def test_an_unknown_character_may_be_refused(run: Run, copied: Path) -> None:
    (copied / "pairs.tsv").write_text("zolw\tżółw\n☃\t☃\n", encoding="utf-8")
    assert run("hello-infer", *MODEL, "run/pairs.tsv").returncode == 0
    result = run("hello-infer", *MODEL, "run/pairs.tsv", "--unknown", "error")
    assert_one_line_error(result, "run/pairs.tsv, line 2: '☃'")


GOOD = {"format_version": 1, "changeable": "z", "words": {"zolw": "żółw"}}
BAD_BASELINES = [
    ("", "damaged baseline"),
    ("[" * 100_000, "damaged baseline"),
    ("[]", "damaged baseline"),
    ("\ud800", "damaged baseline"),
    *(
        (json.dumps({**GOOD, **edit}), message)
        for edit, message in (
            ({"format_version": 3}, "written in format 3, and this hello-rnn reads up to format 2"),
            ({"format_version": 2, "words": {"zo": "ż" * 17}}, "is no target for 'zo'"),
            ({"format_version": 2, "words": {"zo": "ż\n"}}, "is no target for 'zo'"),
            ({"format_version": None}, "damaged baseline"),
            ({"format_version": float("inf")}, "damaged baseline"),
            ({"changeable": ["z"]}, "damaged baseline (changeable is not a text)"),
            ({"words": ["zolw"]}, "damaged baseline"),
            ({"words": {"zolw": "żół"}}, "damaged baseline ('żół' is no target for 'zolw')"),
            ({"words": {"zolw": list("żółw")}}, "is no target for 'zolw'"),
        )
    ),
    *(
        (json.dumps({name: value for name, value in GOOD.items() if name != left}), repr(left))
        for left in GOOD
    ),
]


@pytest.mark.parametrize(("content", "message"), BAD_BASELINES)
def test_a_bad_baseline(content: str, message: str, run: Run, copied: Path) -> None:
    raw = content.encode("utf-8", "surrogatepass")
    (copied / "artifact/baseline.json").write_bytes(raw)
    result = run("hello-infer", *MODEL, "run/holdout.tsv")
    assert_one_line_error(result, "artifact/baseline.json", message)


def test_a_baseline_that_is_not_regular(run: Run, copied: Path) -> None:
    """A pipe would block, and a device has no end."""
    baseline = copied / "artifact/baseline.json"
    baseline.unlink()
    os.mkfifo(baseline)
    assert_one_line_error(run("hello-infer", *MODEL, "run/holdout.tsv"), "not a regular file")
    baseline.unlink()
    baseline.symlink_to("/dev/zero")
    assert_one_line_error(run("hello-infer", *MODEL, "run/holdout.tsv"), "not a regular file")
    baseline.unlink()
    with baseline.open("wb") as file:
        file.truncate(BASELINE_BYTES + 1)  # it takes no room
    assert_one_line_error(run("hello-infer", *MODEL, "run/holdout.tsv"), "larger than")


def test_a_good_baseline_is_read(tmp_path: Path) -> None:
    """What the bad ones are made of is good."""
    (tmp_path / "baseline.json").write_text(json.dumps(GOOD))
    baseline = read_baseline(tmp_path / "baseline.json")
    assert baseline.rewrite("zolw, zolwie") == "żółw, zolwie"


@pytest.mark.parametrize(
    "arguments",
    [["hello"], ["-"], ["--input", "f"], ["--output", "f"], ["--stream"], ["--info"]],
)
def test_wrong_usage_is_exit_code_2(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "pairs.tsv").write_text("hello\tohlol\n")
    result = run("hello-infer", "--score", "pairs.tsv", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "--score excludes TEXT, --input, --output, --stream and --info" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.tsv"]


# The artifact has the baseline of its run, and its digest.


def edit_manifest(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    edit(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


VERIFY = ("hello-export", "--verify", "run/artifact")


def test_an_artifact_carries_the_baseline_of_its_run(run: Run, copied: Path) -> None:
    carried = copied / "artifact/baseline.json"
    assert carried.read_bytes() == (copied / "baseline.json").read_bytes()
    manifest = json.loads((copied / "artifact/manifest.json").read_text(encoding="utf-8"))
    assert manifest["sha256"]["baseline.json"] == digest(carried.read_bytes())
    assert run(*VERIFY, **SHORT_PROOF).returncode == 0
    carried.write_bytes(carried.read_bytes() + b" ")
    assert_one_line_error(
        run(*VERIFY, **SHORT_PROOF), "baseline.json: it has changed since it was exported"
    )
    carried.unlink()
    assert_one_line_error(
        run(*VERIFY, **SHORT_PROOF), "baseline.json: the manifest names it, and it is missing"
    )


def test_an_older_artifact_verifies_and_is_replaced(run: Run, copied: Path) -> None:
    (copied / "artifact/baseline.json").unlink()
    edit_manifest(copied / "artifact", lambda manifest: manifest["sha256"].pop("baseline.json"))
    assert run(*VERIFY, **SHORT_PROOF).returncode == 0
    for _ in range(2):  # the second time, one that has a baseline
        assert run("hello-export", "run", **SHORT_PROOF).returncode == 0
        assert (copied / "artifact/baseline.json").exists()


def test_a_run_without_a_baseline_exports_none(run: Run, copied: Path) -> None:
    (copied / "baseline.json").unlink()
    assert run("hello-export", "run", "--weights", "int8", **SHORT_PROOF).returncode == 0
    assert not (copied / "artifact/baseline.json").exists()
    assert run(*VERIFY, **SHORT_PROOF).returncode == 0


def test_a_damaged_baseline_is_not_exported(run: Run, copied: Path) -> None:
    (copied / "baseline.json").write_text("{}")
    result = run("hello-export", "run", "--output", "new")
    assert_one_line_error(result, "run/baseline.json: damaged baseline ('format_version')")
    assert not (copied.parent / "new").exists()


NOISE = """
import random

def seeded(line):
    source = random.Random(line)
    return "".join(char if source.random() > 0.1 else "?" for char in line)

def unseeded(line):
    return "".join(char if random.random() > 0.1 else "?" for char in line)
"""


def test_a_corruption_of_your_own_is_scored_as_in_training(run: Run, tmp_path: Path) -> None:
    (tmp_path / "noise.py").write_text(NOISE)
    learn = ("hello-train", "--text", POLISH, "--epochs", 3, "--holdout", 0.5, "--output", "run")
    refused = run(*learn, "--corrupt", "noise:unseeded")
    assert_one_line_error(
        refused, f"{POLISH}, line ", "the corruption made ", "random.Random(line)"
    )
    assert not (tmp_path / "run").exists()
    learned = run(*learn, "--corrupt", "noise:seeded", "--hidden-size", 8)
    assert learned.returncode == 0, learned.stderr
    network, training = load_checkpoint(tmp_path / "run")
    onnx.save(build_model(network, training), tmp_path / "run/model.onnx")
    scored = run("hello-infer", "--model", "run/model.onnx", "--score", "run/holdout.tsv")
    assert scored.stdout.splitlines()[1:] == learned.stdout.splitlines()[1:5]
