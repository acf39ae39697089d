"""Edits: what a label writes for a character, as a value, as JSON and as a table."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hello_runtime.text.codepoints import to_codepoints, to_text
from hello_runtime.text.edits import (
    KEEP,
    KEPT,
    LONGEST_EDIT,
    NOTHING,
    Edit,
    apply,
    apply_table,
    edit_table,
    from_json,
    rewrite,
    to_json,
)

EDITS: dict[str, tuple[Edit, str]] = {
    "keep": ((KEEP,), "[null]"),
    "replace": (("ł",), '"ł"'),
    "append": ((KEEP, "\u064e"), '[null, "\u064e"]'),
    "prepend": ((" ", KEEP), '[" ", null]'),
    "delete": ((), '""'),
    "several": (("s", "s"), '"ss"'),
    "twice": ((KEEP, KEEP), "[null, null]"),
    "U+0000": (("\0",), '"\\u0000"'),
    "astral": (("😀", KEEP), '["😀", null]'),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_a_string_or_a_list_in_json(name: str) -> None:
    edit, text = EDITS[name]
    assert json.dumps(to_json(edit), ensure_ascii=False) == text
    assert from_json(json.loads(text)) == edit


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"123456789"', "9 elements; 8 are possible"),
        ("[null, 1]", "1 is no character"),
        ('[null, "ab"]', "'ab' is no character"),
        ('[null, ""]', "'' is no character"),
        (r'"\ud800"', r"'\ud800' is no character"),
        (r'[null, "\n"]', "two lines of one"),
        ('["a", "b"]', "without null it is a string"),
        ("[]", "without null it is a string"),
        ("null", "neither a string nor a list"),
        ("5", "neither a string nor a list"),
        ("{}", "neither a string nor a list"),
        ("[null, [null]]", r"\[None\] is no character"),
    ],
)
def test_what_is_no_edit_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("\\u", r"\\u")):
        from_json(json.loads(text))


def test_a_table_has_the_width_of_its_longest_edit() -> None:
    assert edit_table([("a",), ("b",)]).tolist() == [[97], [98]]
    assert edit_table([()]).tolist() == [[NOTHING]]
    assert edit_table([]).shape == (0, 1)
    table = edit_table([edit for edit, _ in EDITS.values()])
    assert table.dtype == np.int32
    assert table.shape == (len(EDITS), 2)
    assert table[0].tolist() == [KEPT, NOTHING]
    assert edit_table([(KEEP,) * LONGEST_EDIT]).shape == (1, 8)


def test_a_table_writes_what_its_edits_write() -> None:
    source = random.Random(0)
    edits = [edit for edit, _ in EDITS.values()]
    table = edit_table(edits)
    for length in range(50):
        text = "".join(source.choices("ab\0ż\u0301😀\ud800", k=length))
        labels = np.array([source.randrange(len(edits)) for _ in text], np.int64)
        chosen = [edits[label] for label in labels]
        written = apply_table(table, labels, to_codepoints(text))
        assert to_text(written[written != NOTHING]) == rewrite(text, chosen)
        assert rewrite(text, chosen) == "".join(map(apply, chosen, text))


def test_a_table_works_on_batches() -> None:
    table = edit_table([(KEEP,), (KEEP, "-")])
    codepoints = np.stack([to_codepoints("ab"), to_codepoints("cd")])
    written = apply_table(table, np.array([[0, 1], [1, 0]]), codepoints)
    assert written.tolist() == [[[97, -1], [98, 45]], [[99, 45], [100, -1]]]


def test_each_character_has_one_edit() -> None:
    with pytest.raises(ValueError, match="zip"):
        rewrite("ab", [(KEEP,)])
