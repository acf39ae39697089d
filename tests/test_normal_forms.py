"""Normal forms: of a text as a whole, and of one that arrives in pieces cut anywhere."""

from __future__ import annotations

import random
import sys
import unicodedata
from typing import Literal, get_args

import pytest
from hello_runtime.text.normal_forms import (
    NORMAL_FORMS,
    NormalForm,
    Normaliser,
    begins_cluster,
    joining_starters,
    normalise,
)

FORMS: tuple[NormalForm, ...] = ("nfc", "nfd")


def whole(text: str, form: NormalForm) -> str:
    """Return a text in a normal form, by Python alone."""
    return unicodedata.normalize("NFC" if form == "nfc" else "NFD", text)


LETTERS = "aeozżầǘ<=ıßΐﬁКйअक़যোকেாෙတဥᬅ"
MARKS = "\u0300\u0301\u0307\u0308\u0328\u0323\u0338\u0344\u0345\u0f71\u0f72\u0f73\u0f74\u302a"
SIGNS = "\u09be\u09d7\u0b3e\u0b57\u0bbe\u0cd5\u0d57\u0dcf\u0ddf\u102e\u1b35\U00011127\U00016d67"
JAMO = "".join(map(chr, (0x1100, 0x1112, 0x1160, 0x1161, 0x1175, 0x11A7, 0x11A8, 0x11C2))) + "가각"
OTHERS = " x\0\n\r\u200d\ufeff\ud800😀\U0010ffff\u212b\uac00\U0001d15e\U0001d165"


def random_text(source: random.Random, length: int) -> str:
    kinds = (LETTERS, MARKS, MARKS, SIGNS, JAMO, OTHERS)
    return "".join(
        chr(source.randrange(sys.maxunicode + 1))
        if source.random() < 0.05
        else source.choice(source.choice(kinds))
        for _ in range(length)
    )


def cut(source: random.Random, text: str, pieces: int) -> list[str]:
    places = sorted(source.randint(0, len(text)) for _ in range(pieces - 1))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


def fed(form: NormalForm, pieces: list[str]) -> str:
    normaliser = Normaliser(form)
    return "".join([*map(normaliser.feed, pieces), normaliser.finish()])


def test_the_names_of_the_forms() -> None:
    assert get_args(NormalForm) == NORMAL_FORMS


@pytest.mark.parametrize("form", FORMS)
def test_a_text_gets_its_normal_form(form: NormalForm) -> None:
    source = random.Random(0)
    for _ in range(300):
        text = random_text(source, source.randint(0, 30))
        assert normalise(text, form) == whole(text, form)
        assert normalise(text, "none") == text


@pytest.mark.parametrize("form", FORMS)
def test_a_text_that_is_normal_is_not_copied(form: NormalForm) -> None:
    text = whole("żółw", form)
    assert normalise(text, form) is text


@pytest.mark.parametrize("form", NORMAL_FORMS)
def test_pieces_cut_anywhere_agree_with_the_whole(form: NormalForm) -> None:
    source = random.Random(1)
    for _ in range(3000):
        text = random_text(source, source.randint(0, 24))
        normal = normalise(text, form)
        assert fed(form, list(text)) == normal, ascii(text)
        assert fed(form, cut(source, text, source.randint(1, 5))) == normal, ascii(text)


@pytest.mark.parametrize("form", FORMS)
def test_every_character_may_follow_every_kind_of_cluster(form: NormalForm) -> None:
    """So an unknown composition would be found: each character after what it is composed with."""
    for code in range(0x300, sys.maxunicode + 1):
        parts = whole(chr(code), "nfd")
        if len(parts) > 1:
            for text in (parts, parts[1:], chr(code) + parts[1]):
                assert fed(form, list(text)) == normalise(text, form), ascii(text)


def test_only_the_last_cluster_is_held_back() -> None:
    normaliser = Normaliser("nfc")
    assert normaliser.feed("ab") == "a"
    assert normaliser.feed("\u0323") == ""
    assert normaliser.feed("\u0307c") == "ḅ\u0307"
    assert normaliser.finish() == "c"
    assert normaliser.finish() == ""
    assert Normaliser("none").feed("ab") == "ab"


def test_a_cluster_of_any_length_is_held_back_once() -> None:
    marks = "\u0307\u0323" * 5000
    normaliser = Normaliser("nfc")
    assert [normaliser.feed(mark) for mark in "z" + marks] == [""] * 10001
    assert normaliser.finish() == normalise("z" + marks, "nfc")


@pytest.mark.parametrize(("form", "name"), [("nfc", "NFC"), ("nfd", "NFD")])
def test_long_runs_of_marks_are_put_in_order(form: NormalForm, name: Literal["NFC", "NFD"]) -> None:
    source = random.Random(1)
    marks = [char for char in map(chr, range(0x300, 0x20000)) if unicodedata.combining(char)]
    for _ in range(10):
        # U+0F73 is no mark by its class, and decomposes into two.
        runs = source.choices(marks, k=3000), source.choices([*marks, "\u0f73", "x"], k=2000)
        text = "é".join(map("".join, runs))
        assert normalise(text, form) == unicodedata.normalize(name, text)


def test_a_megabyte_of_marks_is_done_at_once() -> None:
    """Python's own way takes five minutes for it."""
    text = normalise("a" + "\u0301\u0323" * 250_000, "nfc")
    assert text == "ạ" + "\u0323" * 249_999 + "\u0301" * 250_000


def test_starters_that_join_begin_no_cluster() -> None:
    assert not any(map(begins_cluster, joining_starters()))
    assert {"\u1161", "\u11c2", "\u09be", "\u102e"} <= joining_starters()
    assert not {"\u1100", "\u1160", "\u11a7", "a"} & joining_starters()
    assert begins_cluster("가")
    assert not begins_cluster("\u0f73")  # no mark by its class, but its decomposition begins so
