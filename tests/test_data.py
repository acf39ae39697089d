"""Reading lines, corrupting text, splitting and scoring."""

from __future__ import annotations

import gzip
import os
import random
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hello_runtime.errors import InputError
from hello_runtime.text.alignment import align
from hello_runtime.text.baseline import Baseline
from hello_runtime.text.codepoints import LONGEST_ROW
from hello_runtime.text.edits import KEEP, Edit, rewrite
from hello_runtime.text.lines import read_lines
from hello_runtime.text.normal_forms import NormalForm, normalise
from hello_runtime.text.pairs import Aligned, AnyPair, Pair, read_pairs, write_pairs
from hello_runtime.text.score import score_outputs, score_table
from hello_train.data.alphabets import (
    Alphabets,
    changeable,
    choose_alphabets,
    count_substitutions,
    keeps_case,
)
from hello_train.data.corruption import (
    CORRUPTIONS,
    DECOMPOSING,
    Corruption,
    corrupt,
    find_corruption,
)
from hello_train.data.lines import MOST_HELD_OUT, check_holdout, find_files, read
from hello_train.data.sources import pair_source, text_source
from hello_train.errors import ConfigError, DataError
from hello_train.fit.counting import count_baseline
from hello_train.fit.options import TEXT_OPTIONS, configure
from hello_train.fit.remarks import dropped_labels
from hello_train.fit.run import beginning
from hello_train.report.mistakes import Context, Mistake, mistakes

KEPT: Edit = (KEEP,)
STRIP = CORRUPTIONS["strip-diacritics"]


def baseline_of(pairs: list[Pair]) -> Baseline:
    return count_baseline(pairs, changeable(count_substitutions(pairs)))


def read_text(path: Path, corruption: Corruption = STRIP) -> list[AnyPair]:
    return list(read(text_source(corruption), [path], [], 0, seed=0).train)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zażółć gęślą jaźń ŻÓŁW", "zazolc gesla jazn ZOLW"),
        ("đĐøØħŦłŁƀɨ", "dDoOhTlLbi"),
        ("ǿ ǭ ệ ṩ", "o o e s"),
        ("ıİȷ", "iIj"),
        ("ßæœþð", "ßæœþð"),
        ("ёйїґ", "еиіг"),
        ("άήώ", "αηω"),
        ("≠→½ﬁ²€", "≠→½ﬁ²€"),
        ("한글 e\u0301 🦀\0", "한글 e\u0301 🦀\0"),
    ],
)
def test_strip_diacritics(text: str, expected: str) -> None:
    assert corrupt(text, STRIP) == (expected, text)


@pytest.mark.parametrize(
    ("text", "expected"), [("Żółw ΣΑΣ", "żółw σασ"), ("İẞǅ", "İßǆ"), ("ABC 1", "abc 1")]
)
def test_lowercase(text: str, expected: str) -> None:
    assert corrupt(text, CORRUPTIONS["lowercase"]) == (expected, text)


@pytest.mark.parametrize(
    ("name", "text", "given"),
    [
        ("drop-punctuation", "Yes, she said.", "Yes she said"),
        ("drop-punctuation", "What?! No... 3.14, e.g.: x", "What No 3.14 e.g x"),
        ("drop-punctuation", "(so;) a , b\u2028c!\u2028d…", "(so;) a , b\u2028c\u2028d"),
        ("drop-punctuation", "żółw: ć.", "żółw ć"),
        ("drop-punctuation", ".,; leader.......... 9", ".,; leader.......... 9"),
        ("drop-spaces", "ala ma kota", "alamakota"),
        ("drop-spaces", " a  b c\u00a0d\t e ", " a  bc\u00a0d\t e "),
        ("drop-hyphens", "biało-czer\u00adwo\u2010ny", "białoczerwony"),
        ("drop-hyphens", "-a - b 1-2 2-x e--f -", "-a - b 1-2 2-x e--f -"),
        ("strip-marks", "zo\u0301łw Żó\u0323", "zołw Zo"),
        ("strip-marks", "שָׁלוֹם عَلَيْكُم नमस्ते", "שלום عليكم नमसत"),
        ("strip-marks", "각\u20dd", "\u1100\u1161\u11a8"),
    ],
)
def test_what_is_removed(name: str, text: str, given: str) -> None:
    assert corrupt(text, CORRUPTIONS[name]) == (given, text)


@pytest.mark.parametrize("name", ["drop-punctuation", "drop-spaces", "drop-hyphens", "strip-marks"])
def test_what_is_removed_is_appended_again(name: str) -> None:
    source = random.Random(name)
    form: NormalForm = "nfd" if name in DECOMPOSING else "nfc"
    for _ in range(300):
        words = (source.choices("aż0q\u0301\u0323-.!ё", k=source.randint(1, 6)) for _ in "abcd")
        line = source.choice([" ", "  "]).join(f"a{''.join(word)}" for word in words)
        pair = text_source(CORRUPTIONS[name], form).pair(normalise(line, form))
        edits = align(*pair)
        assert rewrite(pair.input, edits) == pair.target == normalise(line, form)
        assert all(edit[0] is KEEP for edit in edits)


def test_a_corruption_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corruptions.py").write_text(
        "def shout(line): return line.upper()\ndef grow(line): return line * 65535\n"
        "def end(line): return line + '\\n'\n"
        "def fail(line): return line[99]\ndef none(line): return None\nnothing = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    assert corrupt("Żab", find_corruption("corruptions:shout")) == ("ŻAB", "Żab")
    for name, message in (
        ("grow", "made 196605 characters of 3; 65535 are possible"),
        ("end", "made LF, which would make two lines of one"),
        ("fail", "failed with IndexError"),
        ("none", "returned None, which is no text"),
    ):
        with pytest.raises(DataError, match=message):
            corrupt("żab", find_corruption(f"corruptions:{name}"))
    (tmp_path / "text.txt").write_text("ok\n\nßab\n", encoding="utf-8")
    assert read_text(tmp_path / "text.txt", find_corruption("corruptions:shout")) == [
        Aligned("OK", "ok", b"\1\1"),
        Aligned("SSAB", "ßab", b"\1\1\1\0"),
    ]
    for name, message in (
        ("corruptions:nothing", "not a function"),
        ("corruptions:gone", "has no attribute"),
        ("gone:shout", "there is no module 'gone'"),
        (
            "shout",
            "is none of strip-diacritics, strip-marks, lowercase, drop-punctuation, drop-spaces",
        ),
    ):
        with pytest.raises(ConfigError, match=message):
            find_corruption(name)


class Counting:
    """A corruption that makes something else of a line from one of its calls on."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def __call__(self, line: str) -> str:
        self.calls -= 1
        return line if self.calls >= 0 else line[:-1] + "x"


def misspell(line: str) -> tuple[str, str]:
    """Misspell a character in ten, for equal lines the same ones."""
    source = random.Random(line)
    return "".join(char if source.random() > 0.1 else "x" for char in line), line.upper()


NUMBERS = iter(range(100))


@pytest.mark.parametrize(
    ("corruption", "message"),
    [
        (Counting(1), r"line 1: the corruption made 'line 0' and then 'line x' of one line; it"),
        (Counting(2 * 30 + 1), r"line 31: the corruption made 'line 30' and then 'line 3x'"),
        (lambda line: (line, f"{next(NUMBERS)}{line[1:]}"), "made '0ine 0' and then '1ine 0'"),
        (lambda line: str(next(NUMBERS)).rjust(6), r"made '     \d' and then '     \d' of one"),
        (
            lambda line: random.choice("ab") * len(line),
            r"text.txt, line \d.*random.Random\(line\)$",
        ),
    ],
)
def test_a_corruption_that_is_no_function_is_refused(
    tmp_path: Path, corruption: Corruption, message: str
) -> None:
    file = write_lines(tmp_path / "text.txt", [f"line {i}" for i in range(50)])
    with pytest.raises(DataError, match=message):
        read(text_source(corruption), [file], [], 0.1, 0)


@pytest.mark.parametrize("calls", [100, 101, 150, 199])
def test_a_corruption_that_changes_later_is_refused(tmp_path: Path, calls: int) -> None:
    """It made the same of each line when that was read, and twice."""
    file = write_lines(tmp_path / "text.txt", [f"line {i}" for i in range(50)])
    train, holdout, *_ = read(text_source(Counting(calls)), [file], [], 0.1, 0)
    with pytest.raises(
        DataError, match=r"made 'line \d*x' of .*, and something else when the line"
    ):
        assert [list(train[1:]) + list(holdout) for _ in range(3)]


def test_a_corruption_may_be_random_by_its_line(tmp_path: Path) -> None:
    texts = [f"a line of some length {i}" for i in range(50)]
    file = write_lines(tmp_path / "text.txt", texts)
    split = read(text_source(misspell), [file], [], 0.1, 0)
    expected = {Pair(*misspell(text)) for text in texts}
    for _ in range(2):
        assert {*split.train, *split.holdout} == expected


def test_our_own_corruptions_are_called_once_for_a_line(tmp_path: Path) -> None:
    for corruption in CORRUPTIONS.values():
        assert not text_source(corruption).is_checked
    assert text_source(misspell).is_checked


@pytest.mark.parametrize("name", ["strip-diacritics", "lowercase"])
def test_a_corruption_gives_one_character_for_each_of_unicode(name: str) -> None:
    changed = 0
    for code in range(0x110000):
        char = chr(code)
        if char == "\n" or "\ud800" <= char <= "\udfff":  # which no line has
            continue
        corrupted, _ = corrupt(char, CORRUPTIONS[name])
        assert len(corrupted) == 1, hex(code)
        changed += corrupted != char
        if corrupted != char:
            assert unicodedata.category(char)[0] in "LNS", hex(code)
    assert changed > 1000


def read_all(path: Path) -> list[AnyPair]:
    return list(read(pair_source(), [path], [], 0, seed=0).train)


def test_pairs_are_learned_once_each_without_empty_lines(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_bytes(b"\xef\xbb\xbfab\tcd\r\n\r\nab\tcd\n\nxy\tz\xc5\xbc")
    assert read_all(file) == [("ab", "cd"), ("xy", "zż")]


def test_a_line_of_text_ends_at_lf_only(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("ą\u2028b\x0b\x0c\x85c\nę\n", encoding="utf-8", newline="")
    assert read_text(file) == [
        ("a\u2028b\x0b\x0c\x85c", "ą\u2028b\x0b\x0c\x85c"),
        ("e", "ę"),
    ]


def write_lines(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_no_line_is_learned_and_held_out(tmp_path: Path) -> None:
    lines = [f"ż{i}" for i in range(100)]
    file = write_lines(tmp_path / "text.txt", [*lines, *lines[:50]])
    more = write_lines(tmp_path / "more.txt", [*lines[20:], "new", "new"])
    found = read(text_source(STRIP), [file], [more], 0.1, seed=1)
    train, holdout = ([pair.target for pair in part] for part in found[:2])
    assert (len(train), len(holdout)) == (91, 10)
    assert not set(train) & set(holdout)
    assert set(train) | set(holdout) == {*lines, "new"}
    assert sorted(train[:-1], key=lines.index) == train[:-1]
    again = read(text_source(STRIP), [file], [more], 0.1, seed=1)
    assert (list(again.train), again.fingerprint) == (list(found.train), found.fingerprint)
    other = read(text_source(STRIP), [file], [more], 0.1, seed=2)
    assert list(other.holdout) != list(found.holdout)
    assert other.fingerprint != found.fingerprint


def test_a_holdout_leaves_something_on_both_sides(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "text.txt", ["ża", "żb", "żc"])
    for holdout, message in (
        (0.1, "holding out 0.1 of 3 different lines leaves none to evaluate on"),
        (0.9, "holding out 0.9 of 3 different lines leaves none to learn"),
    ):
        with pytest.raises(DataError, match=message):
            read(text_source(STRIP), [file], [], holdout, seed=0)
    check_holdout(0, 0, 3)
    check_holdout(0.5, 1, 2)
    assert MOST_HELD_OUT > 1000


def test_files_and_folders_plain_or_packed(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "deep/.hidden").mkdir(parents=True)
    write_lines(folder / "b.txt", ["żb"])
    (folder / "deep/a.txt").write_bytes(gzip.compress("\ufeffża\r\nża\n".encode()))
    (folder / "deep/.hidden/c.txt").write_text("no")
    (folder / ".d.txt").write_text("no")
    (folder / "empty.txt").touch()
    single = write_lines(tmp_path / "single", ["żs"])
    assert list(find_files([folder, single])) == [folder / "b.txt", folder / "deep/a.txt", single]
    found = read(text_source(STRIP), [folder, single], [], 0, seed=0)
    assert [pair.target for pair in found.train] == ["żb", "ża", "żs"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/empty.txt").touch()
    with pytest.raises(DataError, match="empty: there are no files with text in this folder"):
        list(find_files([tmp_path / "empty"]))


def test_a_packed_file_that_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "text.gz"
    text = "".join(map(chr, random.Random(0).choices(range(97, 123), k=9000)))
    file.write_bytes(gzip.compress(f"{text}\n".encode())[:-200])
    with pytest.raises(InputError, match=r"cannot read .*text.gz: damaged gzip: "):
        list(read_lines(file))
    file.write_bytes(gzip.compress(b"ab\na\xff"))
    with pytest.raises(InputError, match=r"text.gz, line 2: byte 2 \(0xff\) is not UTF-8"):
        list(read_lines(file))
    file.write_bytes(gzip.compress(f"{text}\n".encode() + b"\xff\n" * 1_000_000)[:-8])
    with pytest.raises(InputError, match=r"text.gz, line 2: byte 1 \(0xff\) is not UTF-8"):
        list(read_lines(file))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_is_read_from_its_first_byte(pack: Callable[[bytes], bytes]) -> None:
    lines = [f"line {number}" for number in range(2000)]
    assert through_pipe(pack("\n".join(lines).encode())) == list(enumerate(lines, 1))


def test_a_pipe_that_is_not_utf8_is_named() -> None:
    with pytest.raises(InputError, match=r"/dev/fd/\d+, line 2: byte 2 \(0xff\) is not UTF-8"):
        through_pipe(b"ab\na\xff")


def through_pipe(content: bytes) -> list[tuple[int, str]]:
    """Return what is read of a pipe with this content, which may be larger than a pipe holds."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as stream:
            stream.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return list(read_lines(Path(f"/dev/fd/{reading}")))
    finally:
        writer.join()
        os.close(reading)


@pytest.mark.parametrize("start", [3, 20_000])
def test_a_bad_byte_is_counted_in_its_line(start: int, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(b"\xef\xbb\xbfab\n" + b"x" * start + b"\xff\n")
    (tmp_path / "cut.txt").write_bytes(b"x" * start + "€".encode()[:2])
    for name, line in (("text", 2), ("cut", 1)):
        message = rf"{name}.txt, line {line}: byte {start + 1} \(0x.*\) is not UTF-8"
        with pytest.raises(InputError, match=message):
            list(read_lines(tmp_path / f"{name}.txt", LONGEST_ROW))


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_long_line_comes_in_parts(tmp_path: Path, more: int, end: str) -> None:
    text = ("€€€ab" * LONGEST_ROW)[: 4 * LONGEST_ROW + more]  # a read ends within a character
    file = tmp_path / "text.txt"
    file.write_bytes(f"short\n{text}{end}".encode())
    found = list(read_lines(file, LONGEST_ROW))
    assert "".join(part for _, part in found[1:]) == text
    assert [number for number, _ in found] == [1, *[2] * (len(found) - 1)]
    assert max(len(part) for _, part in found) <= LONGEST_ROW
    pairs = write_lines(tmp_path / "pairs.tsv", [f"{text}\t{text[::-1]}"])
    assert "".join(pair.target for pair in read_all(pairs)) == text[::-1]


def test_lines_are_kept_as_they_were(tmp_path: Path) -> None:
    texts = ["żab", "😀\u0301", "a\u2028b\0", "x" * 300, "ß"]
    lines = read(text_source(STRIP), [write_lines(tmp_path / "text.txt", texts)], [], 0, 0).train
    assert [pair.target for pair in lines] == texts
    assert [pair.target for pair in lines[1:3]] == texts[1:3]
    assert lines[-1].target == "ß"
    assert len(lines) == 5
    with pytest.raises(IndexError):
        lines[5]


def test_characters_are_counted_as_one_would(monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(1)
    pairs = [
        Pair(
            "".join(source.choices("abż😀\0", k=n)), "".join(source.choices("abż🦀\U0010ffff", k=n))
        )
        for n in source.choices(range(1, 60), k=200)
    ]
    expected = Counter(c for pair in pairs for c in zip(pair.input, pair.target, strict=True))
    assert count_substitutions(pairs) == expected
    monkeypatch.setattr("hello_train.data.alphabets.BLOCK", 100)
    assert count_substitutions(pairs) == expected
    assert count_substitutions([]) == Counter()


def possible(alphabets: Alphabets) -> dict[str, list[Edit]]:
    """Return the labels of each character."""
    return {
        char: [alphabets.labels[number] for number in numbers]
        for char, numbers in alphabets.guard.items()
    }


def test_rare_characters_are_left_out() -> None:
    pairs = [Pair("aaab", "ąaab"), Pair("cadb", "xadb")]
    substitutions = count_substitutions(pairs)
    found = choose_alphabets(substitutions, 0, keep=False)
    assert found.labels == tuple((char,) for char in "abdxą")
    assert possible(found) == {"a": [("a",), ("ą",)], "b": [("b",)], "c": [("x",)], "d": [("d",)]}
    found = choose_alphabets(substitutions, 0)
    assert found.labels == (KEPT, ("x",), ("ą",))
    assert possible(found) == {"a": [KEPT, ("ą",)], "b": [KEPT], "c": [("x",)], "d": [KEPT]}
    assert found.guard["b"] is found.guard["d"]
    assert found.changeable == {"a", "c"}
    kept = choose_alphabets(substitutions, 0.2, keep=False)
    assert (kept.inputs, kept.labels) == ("ab", (("a",), ("b",)))
    assert possible(kept) == {"a": [("a",)], "b": [("b",)]}
    with pytest.raises(DataError, match="of the 4 different characters of the text 1 would be"):
        choose_alphabets(substitutions, 0.3)
    with pytest.raises(DataError, match="of the 1 different characters of the text 1 would be"):
        choose_alphabets(count_substitutions([Pair("aa", "ab")]), 0)


def test_of_too_many_labels_the_rarest_are_left_out() -> None:
    pairs = [Pair("aaaaaabc", "aaaaąbxy")] * 3 + [Pair("ac", "az")]
    substitutions = count_substitutions(pairs)
    found = choose_alphabets(substitutions, 0, 3)
    assert found.labels == (KEPT, ("b",), ("x",))
    assert possible(found) == {"a": [KEPT, ("b",)], "b": [("x",)]}
    assert (found.dropped, found.dropped_share) == (3, 7 / 26)
    assert dropped_labels(found)[0].startswith(
        "of 6 labels the rarest 3 are not learned, those of 2"
    )
    assert choose_alphabets(substitutions, 0, 6).dropped == 0
    assert dropped_labels(choose_alphabets(substitutions, 0, 6)) == []


def test_what_case_says() -> None:
    def keep_case(*pairs: tuple[str, str]) -> bool:
        filled = [Aligned("xy", "xy", b"\1\1"), *(Aligned(a, b, (len(b),)) for a, b in pairs)]
        return keeps_case(choose_alphabets(count_substitutions(filled), 0))

    assert keep_case(("Z", "Ż"), ("a", "ą"), ("b", "b"), ("1", "1"))
    assert keep_case(("a", "a."), ("a", " A a"), ("a", ""))
    assert not keep_case(("Z", "Ż"), ("a", "A"))
    assert not keep_case(("a", "1"))


def test_scores() -> None:
    train = [Pair("ala ma zolwia i zab", "Ala ma żółwia i ząb"), Pair("zab zab", "żab żab")]
    holdout = [Pair("zab i kot ala", "żab i kot Ala"), Pair("kot", "kot")]
    rows = score_outputs(holdout, ["żab i kot ala", "kot"], baseline_of(train))
    # Of the words only those count that have an a, o, l or z: zab, kot, ala, kot.
    assert [rows[name].word_count for name in rows] == [4, 4, 4]
    assert rows["no change"].words == 2 / 4
    assert rows["most frequent target"].words == 4 / 4
    assert rows["model"].words == 3 / 4
    assert rows["no change"].characters == 14 / 16
    assert rows["model"].characters == 15 / 16
    assert rows["model"].lines == 1 / 2
    assert "87.50%" in score_table(rows, "held-out lines")


def test_most_frequent_targets_leave_the_rest_alone() -> None:
    baseline = baseline_of([Pair("ze, je", "żę, ję"), Pair("ala", "ala")])
    assert baseline.words == {"ze": "żę", "je": "ję"}
    assert baseline.rewrite("je? on; ze-ze") == "ję? on; żę-żę"


def test_mistakes_are_counted_with_what_stood_around() -> None:
    pairs = [Pair("zab i zab", "żab i ząb"), Pair("kot", "kot"), Pair("z", "ź")]
    first, second, *rest = mistakes([pair.input for pair in pairs], pairs)
    assert first == Mistake("z", "ż", "z", 1, (Context("", "ab i ząb"),))
    assert second == Mistake("a", "ą", "a", 1, (Context("żab i z", "b"),))
    assert [mistake.target for mistake in rest] == ["ź"]
    assert mistakes(["ab"], [Pair("ab", "ab")]) == []


def test_the_context_of_a_mistake_cuts_no_letter_from_its_marks() -> None:
    for count in range(20, 30):
        around = "b" * count
        target = f"a\u0307{around}ó{around}a\u0307"
        given = target.replace("ó", "o")
        ((context,),) = (mistake.contexts for mistake in mistakes([given], [Pair(given, target)]))
        assert len(context.before) == (count + 2 if count < 23 else min(count, 24))
        assert len(context.after) == (count + 2 if count < 23 else min(count, 24))
    assert beginning("z\u0307" * 40) == "z\u0307" * 30
    assert beginning("a" + "z\u0307" * 40) == "a" + "z\u0307" * 29


def test_no_word_that_counts_is_no_share() -> None:
    rows = score_outputs([Pair("ab", "ab")], ["ab"], Baseline({}, frozenset()))
    assert rows["model"].words is None
    assert "         -" in score_table(rows, "held-out lines")


def test_sizes_that_need_a_projection_get_one() -> None:
    alphabets = choose_alphabets(count_substitutions([Pair("ab", "cb")]), 0)
    config = configure(TEXT_OPTIONS, alphabets)
    assert config.projection
    assert config.guard == {"a": (1,), "b": (0,)}
    assert config.output_labels == (KEPT, ("c",))


@pytest.mark.parametrize("end", [{"epochs": 1}, {"minutes": None}])
def test_a_training_ends_in_one_way(end: dict[str, int | None]) -> None:
    with pytest.raises(ConfigError, match="by epochs or by minutes"):
        replace(TEXT_OPTIONS, **end)  # type: ignore[arg-type]


def test_a_guard_must_know_every_input() -> None:
    alphabets = choose_alphabets(count_substitutions([Pair("ab", "cb")]), 0)
    with pytest.raises(ConfigError, match="guard is not of the characters that it reads"):
        configure(TEXT_OPTIONS, alphabets._replace(inputs="abc"))


def test_pairs_come_back_as_they_were(tmp_path: Path) -> None:
    odd = ["a\tb", "\ufeffa", "a\r", "x\ny"]
    kept = [
        Pair("zolw", "żółw"),
        Pair(" ", "\u2028"),
        Pair("\x0c", " "),
        Pair("😀\u0301", "😀x"),
        Pair("a\rb", "a\rb"),
        Pair("\0", "b"),
    ]
    write_pairs(tmp_path / "pairs.tsv", [*kept, *(Pair(text, text) for text in odd)])
    assert [pair for _, pair in read_pairs(tmp_path / "pairs.tsv")] == kept
