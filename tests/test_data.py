"""Reading aligned lines, wearing text down, splitting and scoring."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hello_train.corruption import CORRUPTIONS, corrupt, lowercase, strip_diacritics
from hello_train.data import (
    Pair,
    read_pairs,
    read_text,
    split,
    substitutions,
    write_pairs,
)
from hello_train.errors import ConfigError, DataError
from hello_train.options import TEXT_OPTIONS, configure
from hello_train.score import Context, Mistake, compare, count_baseline, mistakes, score, table


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
    assert corrupt(text, strip_diacritics) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("Żółw ΣΑΣ", "żółw σασ"), ("İẞǅ", "İßǆ"), ("ABC 1", "abc 1")]
)
def test_lowercase(text: str, expected: str) -> None:
    assert corrupt(text, lowercase) == expected


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_gives_one_character_for_each_of_unicode(name: str) -> None:
    changed = 0
    for code in range(0x110000):
        char = chr(code)
        worn = CORRUPTIONS[name](char)
        assert len(worn) == 1, hex(code)
        changed += worn != char
        if worn != char:
            assert unicodedata.category(char)[0] in "LNS", hex(code)
    assert changed > 1000


def test_pairs_are_read_once_each_and_empty_lines_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_bytes(b"\xef\xbb\xbfab\tcd\r\n\r\nab\tcd\n\nxy\tz\xc5\xbc")
    assert read_pairs(file) == [("ab", "cd"), ("xy", "zż")]


def test_a_line_of_text_ends_at_lf_only(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("ą\u2028b\x0b\x0c\x85c\nę\n", encoding="utf-8", newline="")
    assert read_text(file, strip_diacritics) == [
        ("a\u2028b\x0b\x0c\x85c", "ą\u2028b\x0b\x0c\x85c"),
        ("e", "ę"),
    ]


def test_no_line_is_learned_and_held_out() -> None:
    pairs = [Pair(str(i), str(i)) for i in range(100)]
    lines = split(pairs, 0.1, seed=1)
    assert (len(lines.train), len(lines.holdout)) == (90, 10)
    assert not set(lines.train) & set(lines.holdout)
    assert set(lines.train) | set(lines.holdout) == set(pairs)
    assert split(pairs, 0.1, seed=1) == lines
    assert split(pairs, 0.1, seed=2) != lines
    assert split(pairs[:2], 0.001, seed=0) != split(pairs[:2], 0, seed=0)
    assert [len(part) for part in split(pairs[:2], 0.99, seed=0)] == [1, 1]
    with pytest.raises(DataError, match="single line"):
        split(pairs[:1], 0.1, seed=0)


def test_scores() -> None:
    train = [Pair("ala ma zolwia i zab", "Ala ma żółwia i ząb"), Pair("zab zab", "żab żab")]
    holdout = [Pair("zab i kot ala", "żab i kot Ala"), Pair("kot", "kot")]
    rows = compare(
        lambda texts: [text.replace("zab", "żab") for text in texts], holdout, count_baseline(train)
    )
    # Of the words only those count that have an a, o, l or z: zab, kot, ala, kot.
    assert [rows[name].word_count for name in rows] == [4, 4, 4]
    assert rows["no change"].words == 2 / 4
    assert rows["most frequent target"].words == 4 / 4
    assert rows["model"].words == 3 / 4
    assert rows["no change"].characters == 14 / 16
    assert rows["model"].characters == 15 / 16
    assert rows["model"].lines == 1 / 2
    assert "87.50%" in table(rows)


def test_most_frequent_targets_leave_the_rest_alone() -> None:
    baseline = count_baseline([Pair("ze, je", "żę, ję"), Pair("ala", "ala")])
    assert baseline.words == {"ze": "żę", "je": "ję"}
    assert baseline.rewrite(["je? on; ze-ze"]) == ["ję? on; żę-żę"]


def test_mistakes_are_counted_with_what_stood_around() -> None:
    pairs = [Pair("zab i zab", "żab i ząb"), Pair("kot", "kot"), Pair("z", "ź")]
    first, second, *rest = mistakes(list, pairs)
    assert first == Mistake("z", "ż", "z", 1, (Context("", "ab i ząb"),))
    assert second == Mistake("a", "ą", "a", 1, (Context("żab i z", "b"),))
    assert [mistake.target for mistake in rest] == ["ź"]
    assert mistakes(list, [Pair("ab", "ab")]) == []


def test_no_word_that_counts_is_no_share() -> None:
    row = score(list, [Pair("ab", "ab")], frozenset())
    assert row.words is None
    assert "         -" in table({"row": row})


def test_substitutions() -> None:
    assert substitutions([Pair("aab", "ąax"), Pair("b", "b")]) == {"a": "aą", "b": "bx"}


def test_sizes_that_need_a_projection_get_one() -> None:
    config = configure(TEXT_OPTIONS, "ab", "abc", [Pair("ab", "cb")])
    assert config.projection
    assert config.guard == {"a": "c", "b": "b"}


@pytest.mark.parametrize("end", [{"epochs": 1}, {"minutes": None}])
def test_a_training_ends_in_one_way(end: dict[str, int | None]) -> None:
    with pytest.raises(ConfigError, match="by epochs or by minutes"):
        replace(TEXT_OPTIONS, **end)  # type: ignore[arg-type]


def test_a_guard_must_know_every_input() -> None:
    with pytest.raises(ConfigError, match="the guard must give every input"):
        configure(TEXT_OPTIONS, "abc", "abc", [Pair("ab", "cb")])


def test_pairs_come_back_as_they_were(tmp_path: Path) -> None:
    odd = ["a\tb", "\ufeffa", "a\r", " ", "\u2028", "\x0c", "x\ny"]
    kept = [Pair("zolw", "żółw"), Pair("😀\u0301", "😀x"), Pair("a\rb", "a\rb"), Pair("\0", "b")]
    write_pairs(tmp_path / "pairs.tsv", [*kept, *(Pair(text, text) for text in odd)])
    assert read_pairs(tmp_path / "pairs.tsv") == kept
