"""Lines whose two sides differ in length, from their files to the score of the model."""

from __future__ import annotations

import json
import random
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hello_export.graph.onnx_graph import build_model
from hello_runtime import Decoder, NotCausalError
from hello_runtime.errors import UnknownCharacterError
from hello_runtime.scoring import score_model
from hello_runtime.text.alignment import align, cut, fewest_changes
from hello_runtime.text.baseline import BASELINE_NAME, read_baseline, write_baseline
from hello_runtime.text.edits import KEEP, Edit
from hello_runtime.text.normal_forms import NormalForm, normalise
from hello_runtime.text.pairs import Aligned, AnyPair, Pair, pieces
from hello_runtime.text.score import Score, score_outputs
from hello_train.data.alphabets import choose_alphabets, count_substitutions
from hello_train.data.augmentation import IGNORED
from hello_train.data.batches import Batches, part_of
from hello_train.data.corruption import CORRUPTIONS
from hello_train.data.labels import Labels
from hello_train.data.lines import read
from hello_train.data.sources import pair_source, text_source
from hello_train.errors import DataError
from hello_train.fit.counting import count_baseline
from hello_train.fit.evaluation import right_by_character
from hello_train.fit.options import TEXT_OPTIONS, configure
from hello_train.network.checkpoint import load_checkpoint
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from hello_train.report.mistakes import Context, Mistake, mistakes
from helpers import SHORT_PROOF, TRAINING, Run, assert_one_line_error, make_network

FORMS: tuple[NormalForm, ...] = ("nfc", "nfd")
KEPT: Edit = (KEEP,)
SPACED: Edit = (KEEP, " ")
POLISH = Path(__file__).parent / "data" / "zolw.txt"
TINY = ("--hidden-size", 8, "--embedding-dim", 4, "--epochs", 3)


def aligned(given: str, target: str) -> Aligned:
    return Aligned(given, target, bytes(fewest_changes(given, target)))


def random_pair(source: random.Random, longest: int = 40) -> Aligned:
    """Return a line of letters, and it with spaces, marks and other letters."""
    given = "".join(source.choices("abcż😀", k=source.randint(1, longest)))
    changed = ("", " ", "\u0323\u0307", "x")
    target = "".join(
        source.choice([*(char + more for more in changed), "y", ""])
        if source.random() < 0.3
        else char
        for char in given
    )
    return aligned(given, target)


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


# Reading.


def test_pairs_of_one_length_belong_together_one_for_one(tmp_path: Path) -> None:
    file = write(tmp_path / "pairs.tsv", ["abc\tbca", "xy\tab"])
    assert list(read(pair_source(), [file], [], 0, 0).train) == [("abc", "bca"), ("xy", "ab")]
    more = write(tmp_path / "more.tsv", ["a\tab"])
    found = read(pair_source(), [file], [more], 0, 0).train
    assert list(found) == [
        Aligned("abc", "bca", bytes([0, 1, 2])),
        Aligned("xy", "ab", bytes([1, 1])),
        Aligned("a", "ab", bytes([2])),
    ]
    assert list(found[1:]) == list(found)[1:]


def test_lines_that_cannot_be_aligned_are_an_error_or_left_out(tmp_path: Path) -> None:
    lines = ["ab\ta b", "a\t" + "b" * 10, "\tx", "a\t" + "b" * 10, "cd\tc d"]
    file = write(tmp_path / "pairs.tsv", lines)
    message = r"pairs.tsv, line 3: the input is empty.* \(1 more line cannot be aligned\); make"
    with pytest.raises(DataError, match=message):
        read(pair_source(), [file], [], 0, 0)
    found = read(pair_source(), [file], [], 0, 0, skip_unaligned=True)
    assert [pair.target for pair in found.train] == ["a b", "c d"]
    assert (found.read, found.skipped) == (5, 2)  # of equal lines only the first is aligned
    bad = write(tmp_path / "bad.tsv", lines[1:2])
    with pytest.raises(DataError, match=r"bad.tsv: there is no line to learn"):
        read(pair_source(), [bad], [], 0, 0, skip_unaligned=True)
    found = read(pair_source(), [file], [bad], 0, 0, skip_unaligned=True)
    assert len(found.train) == 2


def test_a_long_pair_is_cut_where_its_pieces_are(tmp_path: Path) -> None:
    given = "".join(random.Random(0).choices("abcde", k=10_000))
    target = "".join(f"{char} " if place % 7 == 0 else char for place, char in enumerate(given))
    file = write(tmp_path / "pairs.tsv", [f"{given}\t{target}"])
    found = list(read(pair_source(), [file], [], 0, 0).train)
    assert [len(pair.input) for pair in found] == [4096, 4096, 10_000 - 8192]
    assert "".join(pair.target for pair in found) == target
    assert [piece for pair in found for piece in pieces(pair)] == [
        f"{char} " if place % 7 == 0 else char for place, char in enumerate(given)
    ]


def test_lines_are_brought_into_a_normal_form_and_counted(tmp_path: Path) -> None:
    nfd = unicodedata.normalize("NFD", "żółw")
    file = write(tmp_path / "text.txt", [nfd, "żółw", "kot"])
    found = read(text_source(CORRUPTIONS["strip-diacritics"], "nfc"), [file], [], 0, 0)
    assert list(found.train) == [("zolw", "żółw"), ("kot", "kot")]
    assert (found.read, found.normalised) == (3, 1)
    found = read(text_source(CORRUPTIONS["strip-marks"], "nfd"), [file], [], 0, 0)
    assert found.train[0] == aligned("zołw", nfd)
    assert found.normalised == 1
    # What a corruption makes is read in the normal form too.
    source = text_source(lambda line: unicodedata.normalize("NFD", line), "nfc")
    assert source.pair("żółw") == ("żółw", "żółw")
    pairs = write(tmp_path / "pairs.tsv", [f"{nfd}\t{nfd}", "zolw\tżółw"])
    found = read(pair_source("nfc"), [pairs], [], 0, 0)
    assert list(found.train) == [("żółw", "żółw"), ("zolw", "żółw")]


# Labels.


def test_substitutions_are_counted_as_one_would(monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(1)
    pairs: list[AnyPair] = [random_pair(source) for _ in range(200)]
    pairs += [Pair("ab", "ax"), Pair("😀", "😀")]
    expected: dict[tuple[str, str], int] = {}
    for pair in pairs:
        for item in zip(pair.input, pieces(pair), strict=True):
            expected[item] = expected.get(item, 0) + 1
    assert count_substitutions(pairs) == expected
    monkeypatch.setattr("hello_train.data.alphabets.BLOCK", 100)
    assert count_substitutions(pairs) == expected


def test_labels_are_the_edits_of_the_alignment() -> None:
    source = random.Random(2)
    pairs = [random_pair(source) for _ in range(200)]
    alphabets = choose_alphabets(count_substitutions(pairs), 0)
    labels = Labels(alphabets.labels)
    for pair in pairs:
        found = [alphabets.labels[label] for label in labels.encode([pair]).tolist()]
        assert found == align(pair.input, pair.target)
    fewer = Labels([KEPT, SPACED])
    assert fewer.encode([aligned("abc", "a bd")]).tolist() == [1, 0, 2]
    assert fewer.encode([aligned("ab", "a")]).tolist() == [0, 2]
    assert Labels([("a",), ()]).encode([aligned("abb", "ab")]).tolist() == [0, 2, 1]


def test_a_part_of_a_pair_has_its_pieces() -> None:
    source = random.Random(3)
    for _ in range(100):
        pair = random_pair(source)
        start = source.randint(0, len(pair.input))
        end = source.randint(start, len(pair.input))
        part = part_of(pair, start, end)
        assert (part.input, list(pieces(part))) == (
            pair.input[start:end],
            list(pieces(pair))[start:end],
        )
    assert part_of(Pair("abc", "xyz"), 1, 2) == ("b", "y")


def config_of(pairs: list[Aligned], **changes: object) -> ModelConfig:
    options = replace(TEXT_OPTIONS, hidden_size=8, **changes)  # type: ignore[arg-type]
    return configure(options, choose_alphabets(count_substitutions(pairs), 0))


def batches_of(config: ModelConfig, pairs: list[Aligned]) -> Batches:
    return Batches(config, pairs, characters=10_000, case_rate=0.0, seed=0)


def test_long_lines_are_learned_in_segments() -> None:
    pair = aligned("ab" * 400, "a b" * 400)
    config = config_of([pair])
    assert config.output_labels == (KEPT, SPACED)
    batches = batches_of(config, [pair])
    seen = 0
    for number, segments in enumerate(batches.order(1)):
        ids, labels = batches.load(segments, 1, number)
        counted = labels != IGNORED
        spaced = (ids == config.input_alphabet.index("a")) & counted
        known = (ids != config.unknown_id) & counted
        assert (labels[spaced] == 1).all()
        assert (labels[known & ~spaced] == 0).all()
        seen += ids.numel()
    assert seen == 800


def test_hidden_characters_keep_their_labels_unless_these_replace_them() -> None:
    pair = aligned("abc" * 2000, "a xc" * 2000)
    config = config_of([pair])
    assert (config.unknown, config.output_labels) == ("label", (KEPT, SPACED, ("x",)))
    batches = batches_of(config, [pair])
    ids, labels = (
        np.concatenate([part.flatten() for part in parts])
        for parts in zip(
            *(batches.load(s, 1, n) for n, s in enumerate(batches.order(1))), strict=True
        )
    )
    hidden = ids == config.unknown_id
    assert 20 < hidden.sum() < 120
    assert {*labels[hidden].tolist()} == {0, 1, IGNORED}
    assert {*labels[~hidden].tolist()} == {0, 1, 2}
    copying = replace(config, unknown="copy")
    batch = batches_of(copying, [pair]).load(batches.order(1)[0], 1, 0)
    assert (batch.labels[batch.ids == config.unknown_id] == IGNORED).all()


def test_case_changes_with_kept_characters() -> None:
    pairs = [aligned("ab", "a b"), aligned("AB", "A B"), aligned("a", "ą"), aligned("A", "Ą")]
    config = config_of(pairs, unknown="error")
    batches = Batches(config, pairs[:1] * 300, characters=1000, case_rate=0.2, seed=0)
    ids, labels = batches.load(batches.order(1)[0], 1, 0)
    texts = {"".join(config.input_alphabet[i] for i in row) for row in ids.tolist()}
    assert texts == {"ab", "AB"}
    assert {tuple(row) for row in labels.tolist()} == {(1, 0)}


# Scores.


def test_what_is_right_is_counted_by_pieces() -> None:
    pairs = [aligned("theend", "the end"), aligned("ab", "ab")]
    outputs = ["th eend", "ab"]
    assert right_by_character(outputs, pairs)["e "] == (0, 1)
    assert right_by_character(outputs, pairs)["e"] == (1, 1)
    assert right_by_character(outputs, pairs)["h"] == (0, 1)
    assert mistakes(outputs, pairs) == [
        Mistake("h", "h", "h ", 1, (Context("t", "e end"),)),
        Mistake("e", "e ", "e", 1, (Context("th", "end"),)),
    ]


def counted_by_hand(pairs: list[Aligned], outputs: list[str], chars: frozenset[str]) -> Score:
    """Return the score of outputs, counted character after character."""
    right = words = right_words = lines = 0
    for pair, output in zip(pairs, outputs, strict=True):
        wanted = list(pieces(pair))
        written = list(cut(output, fewest_changes(pair.input, output)))
        same = [a == b for a, b in zip(wanted, written, strict=True)]
        right += sum(same)
        lines += output == pair.target
        start = 0
        for word in pair.input.replace("😀", " ").split(" "):
            if chars & set(word):
                words += 1
                right_words += all(same[start : start + len(word)])
            start += len(word) + 1
    total = sum(len(pair.input) for pair in pairs)
    share = right_words / words
    return Score(right / total, share, lines / len(pairs), total, words, len(pairs))


def test_scores_are_what_one_would_count(tmp_path: Path) -> None:
    source = random.Random(4)
    pairs = [random_pair(source) for _ in range(300)]
    labels = (KEPT, SPACED, (), ("y",), (KEEP, "\u0323", "\u0307"))
    network = Network(replace(make_network(unknown="label").config, output_labels=labels)).eval()
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    decoder = Decoder.open(tmp_path, threads=2)
    substitutions = count_substitutions(pairs[:100])
    baseline = count_baseline(pairs[:100], choose_alphabets(substitutions, 0).changeable)
    write_baseline(tmp_path / BASELINE_NAME, baseline)
    assert json.loads((tmp_path / BASELINE_NAME).read_text("utf-8"))["format_version"] == 2
    assert read_baseline(tmp_path / BASELINE_NAME) == baseline
    inputs = [pair.input for pair in pairs]
    outputs = decoder.decode_batch(inputs)
    assert outputs == network.rewrite_lines(inputs)
    rows = {
        "no change": inputs,
        "most frequent target": list(map(baseline.rewrite, inputs)),
        "model": outputs,
    }
    expected = {
        name: counted_by_hand(pairs, row, baseline.changeable) for name, row in rows.items()
    }
    assert score_outputs(pairs, outputs, baseline) == expected
    write(tmp_path / "pairs.tsv", [f"{pair.input}\t{pair.target}" for pair in pairs])
    assert score_model(decoder, tmp_path / "pairs.tsv", baseline) == expected
    assert len({score.characters for score in expected.values()}) == 3


# Normal forms, where text is read.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_model_reads_its_normal_form(
    tmp_path: Path, form: NormalForm, bidirectional: bool
) -> None:
    network = make_network(bidirectional=bidirectional)
    network.config = replace(network.config, normalization=form)
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    decoder = Decoder.open(tmp_path, threads=2)
    assert decoder.info.normalization == form
    source = random.Random(5)
    texts = ["".join(source.choices("abzż\u0307\u0301e가가😀", k=n % 40)) for n in range(200)]
    texts.append("z" + "\u0307\u0323" * 3000 + "ab" * 3000)
    expected = network.rewrite_lines(
        [normalise(text, decoder.info.normalization) for text in texts]
    )
    assert decoder.decode_batch(texts) == expected
    assert list(map(decoder.decode, texts)) == expected
    assert [row.text for row in decoder.annotate_batch(texts)] == expected
    other: NormalForm = "nfd" if form == "nfc" else "nfc"
    assert decoder.decode_batch([normalise(text, other) for text in texts]) == expected
    if bidirectional:
        with pytest.raises(NotCausalError):
            decoder.stream()
        return
    for text, output in zip(texts, expected, strict=True):
        stream = decoder.stream()
        places = sorted(source.randint(0, len(text)) for _ in range(5))
        parts = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
        assert "".join(map(stream.feed, parts)) + stream.feed(final=True) == output
        stream = decoder.stream()
        assert stream.feed(text, final=True) == output


def test_a_stream_is_as_before_after_an_error(tmp_path: Path) -> None:
    network = make_network(unknown="error")
    network.config = replace(network.config, normalization="nfc")
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    decoder = Decoder.open(tmp_path)
    stream = decoder.stream()
    first = stream.feed("abz")
    for final in (False, True):
        with pytest.raises(UnknownCharacterError, match="character 3 of the text"):
            stream.feed("x", final=final)  # z is settled, and unknown
        with pytest.raises(TypeError):
            stream.feed(3, final=final)  # type: ignore[arg-type]
    assert first + stream.feed("\u0307a", final=True) == decoder.decode("abża")


# The commands.


def test_text_in_both_forms_trains_alike(run: Run, tmp_path: Path) -> None:
    text = POLISH.read_text(encoding="utf-8")
    for name in FORMS:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "zolw.txt").write_text(normalise(text, name), "utf-8")
        result = run(
            "hello-train", "--text", f"{name}/zolw.txt", "--corrupt", "strip-diacritics", *TINY,
            "--output", f"{name}/run",
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        notes = [line for line in result.stderr.splitlines() if "normal form" in line]
        assert len(notes) == (name == "nfd")
    assert notes[0].startswith("note: 24 of 24 lines were not in the normal form NFC, and are brou")
    one, two = (tmp_path / name / "run/checkpoint.safetensors" for name in FORMS)
    assert one.read_bytes() == two.read_bytes()
    assert run("hello-export", "nfc/run", **SHORT_PROOF).returncode == 0
    model = ("--model", "nfc/run/artifact")
    facts = json.loads(run("hello-infer", *model, "--info", "--json").stdout)
    assert facts["normalization"] == "nfc"
    composed, decomposed = (
        run("hello-infer", *model, "--json", normalise("zażółć", form)).stdout for form in FORMS
    )
    assert composed == decomposed
    row = json.loads(composed)
    assert (row["input"], len(row["confidence"])) == ("zażółć", 6)


def test_marks_are_learned_in_nfd_and_scored_in_any_form(run: Run, tmp_path: Path) -> None:
    arguments = ("--text", POLISH, "--corrupt", "strip-marks", "--holdout", 0.3, "--causal")
    result = run("hello-train", *arguments, *TINY, "--output", "run")
    assert result.returncode == 0, result.stderr
    config = load_checkpoint(tmp_path / "run")[0].config
    assert (config.normalization, config.unknown) == ("nfd", "label")
    assert set(config.output_labels) == {KEPT, *((KEEP, mark) for mark in "\u0301\u0307\u0328")}
    assert run("hello-export", "run", **SHORT_PROOF).returncode == 0
    model = ("--model", "run/artifact")
    scored = run("hello-infer", *model, "--score", "run/holdout.tsv")
    assert scored.stdout.splitlines()[1:] == result.stdout.splitlines()[1:5]
    lines = (tmp_path / "run/holdout.tsv").read_text(encoding="utf-8")
    (tmp_path / "nfc.tsv").write_text(unicodedata.normalize("NFC", lines), encoding="utf-8")
    assert run("hello-infer", *model, "--score", "nfc.tsv").stdout == scored.stdout
    text = "zażółć\ngęślą"
    whole = run("hello-infer", *model, stdin=unicodedata.normalize("NFC", text).encode())
    streamed = run("hello-infer", *model, "--stream", stdin=text.encode())
    assert streamed.stdout == whole.stdout != ""


def test_pairs_of_other_lengths_are_learned(run: Run, tmp_path: Path) -> None:
    pairs = ["abc\ta bc", "bca\tbca ", "cab\tca b", "aa\ta a ", "x\t" + "y" * 20]
    write(tmp_path / "pairs.tsv", pairs)
    learn = ("hello-train", "--pairs", "pairs.tsv", "--holdout", 0, "--output", "run")
    result = run(*learn)
    assert_one_line_error(result, "pairs.tsv, line 5: character 1 of the input, 'x', would become")
    assert not (tmp_path / "run").exists()
    result = run(*learn, "--skip-unaligned", *TINY[:4], "--epochs", 300)
    assert result.returncode == 0, result.stderr
    assert "note: 1 of 5 lines cannot be aligned, and are left out" in result.stderr
    network = load_checkpoint(tmp_path / "run")[0]
    assert network.config.output_labels == (KEPT, SPACED)
    assert network.rewrite_lines(["abc", "bca", "cab", "aa"]) == ["a bc", "bca ", "ca b", "a a "]
    result = run("hello-train", "--pairs", "pairs.tsv", "--holdout", 0, "--skip-unaligned",
                 "--most-labels", 2, "--no-keep", *TINY)  # fmt: skip
    write(tmp_path / "empty.tsv", ["ab\ta b", "\tx"])
    scored = run("hello-export", "run", **SHORT_PROOF)
    assert scored.returncode == 0, scored.stderr
    scored = run("hello-infer", "--model", "run/artifact", "--score", "empty.tsv")
    assert_one_line_error(scored, "empty.tsv, line 2: the input is empty", "leave the line out")
    assert "labels the rarest" in result.stderr
    assert "larger --most-labels" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--skip-unaligned"], ["--most-labels", 9], ["--keep"], ["--normalization", "nfc"]],
)
def test_options_for_lines_are_refused_for_hello(run: Run, arguments: list[object]) -> None:
    result = run("hello-train", *arguments)
    assert result.returncode == 2
    assert "needs --text, --pairs or --classes" in result.stderr
