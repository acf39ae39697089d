"""A page of HTML in one file, from texts that may hold anything.

`Html` is what may stand in a page as it is. Only `text` makes it of a string, and only `element`
joins it, so that the type checker finds a text that nobody escaped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Literal, NewType

Html = NewType("Html", str)
Column = Literal["row", "words", "number"]
"""What the cells of a column hold; those of `row` name their rows."""

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Content Security Policy: a browser shall fetch nothing for this page."""
DOTTED_CIRCLE = "\u25cc"
"""What a combining mark is shown on where its base is not shown."""


def text(content: str) -> Html:
    """Return a text in which every character but a space can be seen."""
    shown = (code(char) if is_unseen(char) else escape(char) for char in content)
    return Html(lone_mark(content) + "".join(shown))


def visible(content: str) -> str:
    """Return such a text for where no element may stand; it is not escaped."""
    return lone_mark(content) + "".join(
        code_point(char) if is_unseen(char) else char for char in content
    )


def character(char: str) -> Html:
    """Return a character that stands alone; one that cannot be seen alone comes with its name."""
    shown = code(char) if char == " " else text(char)
    is_named = char == " " or is_unseen(char) or is_mark(char)
    name = unicodedata.name(char, "") if is_named else ""
    return join(element("span", shown, class_="character"), element("small", text(name)))


def code(char: str) -> Html:
    """Return the code point of a character, to stand in its place."""
    return element("span", Html(code_point(char)), class_="code")


def is_unseen(char: str) -> bool:
    """Tell whether a character leaves nothing to see, and is not a plain space.

    Those are the controls, formats, surrogates, private and unassigned characters, and all other
    spaces (Unicode's general categories C and Z).
    """
    return char != " " and unicodedata.category(char)[0] in "CZ"


def is_mark(char: str) -> bool:
    """Tell whether a character is drawn on the one before it."""
    return unicodedata.category(char).startswith("M")


def code_point(char: str) -> str:
    """Return the code point of a character as Unicode writes it."""
    return f"U+{ord(char):04X}"


def lone_mark(content: str) -> str:
    """Return what a text must be shown behind, that a mark at its start has something to be on."""
    return DOTTED_CIRCLE if content and is_mark(content[0]) else ""


def join(*parts: Html) -> Html:
    """Return what is made of these, one after the other."""
    return Html("".join(parts))


def element(name: str, *content: Html, **attributes: str) -> Html:
    """Return an element of HTML; of `class_` and `aria_label` it makes `class` and `aria-label`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return Html(f"<{name}{given}>{''.join(content)}</{name}>")


def section(title: str, *content: Html) -> Html:
    """Return a section under its heading."""
    return element("section", element("h2", text(title)), *content)


def paragraph(content: str) -> Html:
    """Return a paragraph of plain words."""
    return element("p", text(content))


def table(
    caption: str, columns: Mapping[str, Column], rows: Iterable[Sequence[Html]], class_: str = ""
) -> Html:
    """Return a table.

    Args:
        caption: what stands above it.
        columns: what they hold, by heading.
        rows: their cells.
        class_: "stacked" for a wide last column, which goes below the others where there is no
            room beside them.
    """
    head = [
        element("th", text(heading), scope="col", class_=kind) for heading, kind in columns.items()
    ]
    body = [
        element("tr", *(cell(kind, content) for kind, content in zip(kinds, row, strict=True)))
        for kinds, row in ((columns.values(), row) for row in rows)
    ]
    return element(
        "div",
        element(
            "table",
            element("caption", text(caption)),
            element("thead", element("tr", *head)),
            element("tbody", *body),
            **({"class_": class_} if class_ else {}),
        ),
        class_="scroll",
    )


def cell(kind: Column, content: Html) -> Html:
    """Return a cell of a table."""
    if kind == "row":
        return element("th", content, scope="row", class_=kind)
    return element("td", content, class_=kind)


def facts(told: Mapping[str, str]) -> Html:
    """Return a list of facts by name."""
    return element(
        "dl",
        *(
            element("div", element("dt", text(name)), element("dd", text(fact)))
            for name, fact in told.items()
        ),
    )


def page(title: str, lead: str, *content: Html) -> str:
    """Return the whole page, which needs nothing beside it; the lead stands below the title."""
    head = join(
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        element("title", Html(escape(visible(title)))),
        element("style", Html(STYLE)),
    )
    opening = element("h1", text(title)), element("p", text(lead), class_="lead")
    body = element("main", *opening, *content)
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body>{body}</body>\n</html>\n'
