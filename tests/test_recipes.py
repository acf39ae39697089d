"""The recipes: what the converters keep of each format, and that `diacritics.sh` goes on."""

from __future__ import annotations

import gettext
import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "train" / "recipes"
DATA = ROOT / "tests" / "data"

WORDFREQ = """
WORDS = {"pl": {
    "nie": 0.02, "się": 0.01, "możesz": 0.004, "sąd": 0.001, "sad": 0.001, "mozesz": 0.0001,
    "żaden": 1e-6, "café": 1e-7, "r2d2": 1e-7, "mięsa": 1e-7,
}}
def available_languages(wordlist):
    assert wordlist == "best"
    return {"pl": "large_pl", "hu": "small_hu"}
def get_frequency_dict(language, wordlist):
    assert wordlist == "best"
    return WORDS[language]
"""


def recipe(
    name: str, *arguments: object, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a recipe in Python, with a folder of modules before those that are installed."""
    return subprocess.run(
        [sys.executable, RECIPES / name, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(path or "")},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def lines_of(name: str, *arguments: object, path: Path | None = None) -> list[str]:
    result = recipe(name, *arguments, path=path)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.split("\n")[:-1]


MAN_LINES = [
    "żółw - pokazuje żółwia na ekranie",
    "Pokazuje żółwia na ekranie, w trybie PLIKU, jak --tryb „wolny”.",
    "Następny akapit jest złamany w źródle (zob. tortoise(1)), a \\ zostaje.",
    "wypisuje wszystkie żółwie z pliku",
    "punkt listy, w którym są cztery słowa",
    "Żółw przed przykładem oraz po nim",
    "Ostatni, z cytowanymi argumentami: dwa słowa, i już.",
]
"""What `zolw.1` says in running text."""


def test_man_pages_become_their_running_text(tmp_path: Path) -> None:
    page = (DATA / "zolw.1").read_bytes()
    (tmp_path / "man1").mkdir()
    (tmp_path / "man1" / "zolw.1.gz").write_bytes(gzip.compress(page))
    (tmp_path / "man1" / "zolwie.1").write_bytes(page)
    mdoc = ".Dd 1 maja 2020\n.Dt ZOLW 1\nTa strona jest w mdoc, więc jej brakuje.\n"
    (tmp_path / "man1" / "inna.1").write_text(mdoc, encoding="utf-8")
    latin2 = "Ta strona jest w innym kodowaniu, więc jej brakuje.\n"
    (tmp_path / "man1" / "stara.1").write_bytes(latin2.encode("iso8859-2"))
    assert lines_of("man_to_lines.py", tmp_path) == MAN_LINES


MESSAGES = {
    "Close all windows of this turtle": "Z_amknij wszystkie okna tego żółwia",
    "menu\x04Open the file & go on": "&Otwórz &lt;b&gt;ten&lt;/b&gt; plik &amp; idź dalej",
    "%d turtle\0%d turtles": "żółw jest teraz jeden\0żółwi jest teraz wiele\0żółwi jest %d, mało",
    "One line.\nAnd one more line.": "Pierwszy wiersz mówi jedno.\nDrugi zaś mówi drugie.",
    "Stays as it is here": "Stays as it is here",
    "Few words": "Mało słów",
    "Turtle {name} is away today": "Żółwia {name} dziś nie ma",
}
MESSAGE_LINES = [
    "Zamknij wszystkie okna tego żółwia",
    "Otwórz ten plik & idź dalej",
    "żółw jest teraz jeden",
    "żółwi jest teraz wiele",
    "Pierwszy wiersz mówi jedno.",
    "Drugi zaś mówi drugie.",
]


def write_mo(path: Path, messages: dict[str, str], order: str) -> None:
    """Write messages as GNU gettext's msgfmt would, and check that Python's gettext reads them."""
    texts = {"": "Content-Type: text/plain; charset=UTF-8\n", **messages}
    strings = [text.encode() for text in (*texts, *texts.values())]
    offset = 28 + 8 * len(strings)
    table, body = b"", b""
    for text in strings:
        table += struct.pack(f"{order}II", len(text), offset + len(body))
        body += text + b"\0"
    head = (0x950412DE, 0, len(texts), 28, 28 + 8 * len(texts), 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f"{order}7I", *head) + table + body)
    with path.open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Few words") == "Mało słów"


@pytest.mark.parametrize("order", ["<", ">"])
def test_mo_files_become_the_sentences_that_were_translated(tmp_path: Path, order: str) -> None:
    write_mo(tmp_path / "usr/share/locale/pl/LC_MESSAGES/zolw.mo", MESSAGES, order)
    write_mo(tmp_path / "usr/share/locale/hu/LC_MESSAGES/zolw.mo", {"Few words": "Mało słów"}, "<")
    assert lines_of("mo_to_lines.py", tmp_path, "pl") == MESSAGE_LINES
    assert lines_of("mo_to_lines.py", tmp_path, "hu") == []


MALLARD = """<page xmlns="http://projectmallard.org/1.0/" id="zolw">
<info><desc>Jak żyje <em>żółw</em>?</desc><credit><name>Jan</name></credit></info>
<title>O żółwiu</title>
<p>Żółw ma
   <gui style="menu">skorupę</gui> &amp; czas.</p>
<list><item><p>Żółw ma skorupę &amp; czas.</p></item><item><p>1</p></item></list>
</page>"""
MALLARD_LINES = ["Jak żyje żółw?", "O żółwiu", "Żółw ma skorupę & czas."]


def test_mallard_pages_become_their_blocks(tmp_path: Path) -> None:
    (tmp_path / "zolw.page").write_text(MALLARD, encoding="utf-8")
    assert lines_of("mallard_to_lines.py", tmp_path) == MALLARD_LINES


DESCRIPTIONS = """Package: zolw
Description-md5: d943033bedada21853d2ae54a2578a7b
Description-pl: pokazuje żółwia na ekranie
 Żółw chodzi powoli i
 rysuje linie.
 .
 Potrafi też:
  * spać,
  * jeść.
 .
 Pakiet jest mały.

Package: zolw-data
Description-md5: 26581e685027d5ae84824362a4ba59ee
Description-pl: dane programu zolw
 Pakiet jest mały.
"""
DESCRIPTION_LINES = [
    "pokazuje żółwia na ekranie",
    "Żółw chodzi powoli i rysuje linie.",
    "Pakiet jest mały.",
    "dane programu zolw",
]


def test_descriptions_become_their_paragraphs() -> None:
    result = subprocess.run(
        [sys.executable, RECIPES / "descriptions_to_lines.py"],
        input=DESCRIPTIONS.encode(),
        capture_output=True,
        check=True,
    )
    assert result.stdout.decode().splitlines() == DESCRIPTION_LINES


@pytest.fixture
def wordfreq(tmp_path: Path) -> Path:
    """Return a folder with a module of that name that knows a few words."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "wordfreq.py").write_text(WORDFREQ, encoding="utf-8")
    return folder


def test_words_are_seen_more_often_than_once_if_frequent(wordfreq: Path) -> None:
    lines = lines_of("word_lines.py", "pl", 200000, path=wordfreq)
    assert {len(line.split()) for line in lines[:-1]} == {8}
    words = " ".join(lines).split()
    assert any(word[0].isupper() for word in words)
    assert lines == lines_of("word_lines.py", "pl", 200000, path=wordfreq)
    lowered = [word.lower() for word in words]
    # A mistake, a foreign letter and digits are left out.
    assert set(lowered) == {"nie", "się", "możesz", "sąd", "sad", "żaden", "mięsa"}
    counts = [lowered.count(word) for word in ("nie", "się", "sąd", "sad", "żaden", "mięsa")]
    assert counts == [19, 18, 8, 8, 4, 1]
    few = " ".join(lines_of("word_lines.py", "pl", 2, path=wordfreq)).lower().split()
    assert sorted(few) == ["nie", "nie", "się"]


def test_a_language_without_words_is_named(wordfreq: Path) -> None:
    result = recipe("word_lines.py", "tlh", "9", path=wordfreq)
    assert result.returncode == 1
    assert result.stderr == "Error: wordfreq has no words of the language 'tlh'; it has hu pl\n"


def test_wordfreq_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "wordfreq.py").write_text("raise ImportError", encoding="utf-8")
    result = recipe("word_lines.py", "pl", "9", path=tmp_path)
    assert result.returncode == 1
    assert result.stderr == "Error: wordfreq is not installed; run: pip install wordfreq\n"


FAKER = """
class Provider:
    last_names = {"Nowak", "Kowal"}
    last_names_male = ("Nowak",)
    last_names_female = {"Kowalska": 2.0}
"""


def test_surnames_have_their_language(tmp_path: Path) -> None:
    folder = tmp_path / "faker/providers/person"
    for locale in ("az_AZ", "hr_HR", "cs_CZ", "nl_NL", "en_GB", "en_US", "et_EE", "fi_FI", "fr_FR",
                   "fr_BE", "de_DE", "de_AT", "ga_IE", "it_IT", "en_KE", "sk_SK", "es_ES", "sv_SE",
                   "zu_ZA"):  # fmt: skip
        (folder / locale).mkdir(parents=True)
        (folder / locale / "__init__.py").write_text(FAKER)
    for package in (folder, *list(folder.parents)[:2]):
        (package / "__init__.py").touch()
    lines = lines_of("surnames.py", path=tmp_path)
    assert lines[:3] == ["Kowal\tAzerbaijani", "Kowalska\tAzerbaijani", "Nowak\tAzerbaijani"]
    assert (len(lines), len({line.partition("\t")[2] for line in lines})) == (48, 16)
    (tmp_path / "faker/__init__.py").write_text("raise ImportError")
    result = recipe("surnames.py", path=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "Error: faker is not installed; run: pip install faker\n"


def test_text_becomes_pairs(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("żółw\n\nbez znaków\nżółw\nz\ttabulatorem\nłza\n", encoding="utf-8")
    pairs = lines_of("text_to_pairs.py", text, "strip-diacritics")
    assert pairs == ["zolw\tżółw", "bez znakow\tbez znaków", "lza\tłza"]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("man_to_lines.py", ["."], "no manual pages"),
        ("mo_to_lines.py", [".", "pl"], "no pl/LC_MESSAGES/*.mo"),
        ("mallard_to_lines.py", ["."], "no *.page files"),
        ("text_to_pairs.py", ["missing.txt", "lowercase"], "missing.txt: No such file"),
        ("text_to_pairs.py", ["missing.txt", "no-such"], "'no-such' is none of strip-diacritics"),
        ("man_to_lines.py", [], "usage: man_to_lines.py FOLDER"),
        ("mo_to_lines.py", ["."], "usage: mo_to_lines.py FOLDER LANG"),
        ("descriptions_to_lines.py", ["pl"], "usage: descriptions_to_lines.py < Translation"),
        ("mallard_to_lines.py", [], "usage: mallard_to_lines.py FOLDER"),
        ("word_lines.py", ["pl", "many"], "usage: word_lines.py LANG COUNT"),
        ("surnames.py", ["pl"], "usage: surnames.py"),
        ("text_to_pairs.py", ["text.txt"], "usage: text_to_pairs.py TEXT CORRUPTION"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = recipe(name, *arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


APT = r"""#!/usr/bin/env bash
# apt-get -qq download PACKAGE: there are packages of Polish, and they are empty.
# apt-get -qq -o Acquire::Languages=LANG -o Dir::State::Lists=FOLDER … update: of descriptions too.
for argument; do
    case $argument in
    Acquire::Languages=*) language=${argument##*=} ;;
    Dir::State::Lists=*) lists=${argument##*=} ;;
    esac
done
if [ "${!#}" = update ]; then
    if [ -e "$PACKAGES/offline" ]; then # which is an error only if it is asked to be one
        case "$*" in *Error-Mode=any*) echo "E: Failed to fetch the index" >&2; exit 100 ;; esac
        exit
    fi
    if [ "$language" = pl ]; then
        cp "$PACKAGES/descriptions" "$lists/debian_i18n_Translation-pl.lz4"
    fi
    exit
fi
echo "$3" >> "$LOG"
case $3 in
*-tlh) echo "W: not that" >&2; echo "E: Unable to locate package $3" >&2; exit 100 ;;
*) touch "${3}_1%3a2_all.deb" ;;
esac
"""
CACHE = r"""#!/usr/bin/env bash
# apt-cache show PACKAGE: fails where there is none.
[ -d "$PACKAGES/$2" ]
"""
HELPER = r"""#!/usr/bin/env bash
# apt-helper cat-file FILE: unpacks it; here nothing is packed.
[ "$1" = cat-file ] && cat "${@:2}"
"""
DPKG = r"""#!/usr/bin/env bash
# dpkg-deb -x FILE FOLDER: unpacks the folder of that package's name.
name=$(basename "$2")
cp -r "$PACKAGES/${name%%_*}/." "$3"
"""
COMMAND = r"""#!/usr/bin/env bash
# Stands for hello-train, hello-export, hello-infer: logs how it was called, and leaves its files.
echo "${0##*/} $*" >> "$LOG"
case $0 in
*train) touch "${@: -1}"/{checkpoint.safetensors,holdout.tsv} ;;
*export) mkdir "$1/artifact" ;;
*) cat "${@: -1}" ;;
esac
"""
TOOLS = {
    "apt-cache": CACHE,
    "apt-get": APT,
    "apt-helper": HELPER,
    "dpkg-deb": DPKG,
    "hello-train": COMMAND,
    "hello-export": COMMAND,
    "hello-infer": COMMAND,
}
MESSAGES_OF = ("audacity-data", "darktable", "digikam-data", "evolution-common", "freeciv-data",
               "gimp-data", "gnucash-common", "gramps", "vlc-l10n")  # fmt: skip


class Shop:
    """A folder with packages, the tools that get them, and those that would train."""

    def __init__(self, folder: Path, modules: Path) -> None:
        self.folder, self.modules = folder, modules
        self.packages, self.log = folder / "packages", folder / "log"
        (folder / "bin").mkdir()
        for tool, text in TOOLS.items():
            (folder / "bin" / tool).write_text(text, encoding="utf-8")
            (folder / "bin" / tool).chmod(0o755)
        self.write("libreoffice-help-pl", "help/pl/page.html", "<p>Pomoc o żółwiu</p>")
        page = (DATA / "zolw.1").read_text(encoding="utf-8")
        self.write("manpages-pl", "share/man/pl/man1/zolw.1", page)
        self.write("gnome-user-docs", "share/help/pl/zolw.page", MALLARD)
        self.write("fortunes-pl", "share/games/fortunes/pl/zolw", "Śpiesz się\n%\npowoli!\n")
        self.write("fortunes-pl", "share/games/fortunes/pl/zolw.dat", "not text")
        (self.packages / "descriptions").write_text(DESCRIPTIONS, encoding="utf-8")
        for package in MESSAGES_OF:
            self.write(package, "copyright", "")
        mo = self.packages / "libreoffice-l10n-pl/usr/locale/pl/LC_MESSAGES/zolw.mo"
        learned = {"It stays here": "Żółw przed przykładem oraz po nim"}
        write_mo(mo, MESSAGES | learned, "<")

    def write(self, package: str, path: str, text: str) -> None:
        file = self.packages / package / "usr" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def run(
        self, *arguments: str, wide: str = "", path: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the recipe, with these tools before those of PATH."""
        self.log.write_text("")
        rest = f"{Path(sys.executable).parent}:{os.environ['PATH']}" if path is None else path
        return subprocess.run(
            ["bash", RECIPES / "diacritics.sh", *arguments],
            cwd=self.folder,
            env={
                **os.environ, "PATH": f"{self.folder / 'bin'}:{rest}",
                "PYTHONPATH": str(self.modules), "PACKAGES": str(self.packages),
                "LOG": str(self.log), "WIDE": wide,
            },
            capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip

    def called(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def lines(self, path: str) -> list[str]:
        return (self.folder / path).read_text(encoding="utf-8").splitlines()


@pytest.fixture
def shop(tmp_path: Path, wordfreq: Path) -> Shop:
    return Shop(tmp_path, wordfreq)


def test_one_command_goes_from_packages_to_scores(shop: Shop) -> None:
    result = shop.run("pl")
    assert result.returncode == 0, result.stderr
    run, text = "runs/diacritics-pl", "runs/diacritics-pl/text"
    infer = f"hello-infer --model {run}/artifact --score"
    assert shop.called() == [
        "libreoffice-help-pl",
        "manpages-pl",
        f"hello-train --cell lstm --text {text}/help.txt --extra={text}/words.txt"
        f" --corrupt strip-diacritics --hidden-size 112 --embedding-dim 40 --minutes 30"
        f" --output {run}",
        f"hello-export {run} --weights int8",
        f"{infer} {run}/holdout.tsv",
        f"{infer} {text}/manpages.tsv",
    ]
    assert shop.lines(f"{text}/help.txt") == ["Pomoc o żółwiu"]
    assert shop.lines(f"{text}/manpages.txt") == MAN_LINES
    assert f"{text}/manpages.tsv:\nzolw - pokazuje zolwia na ekranie\tżółw - " in result.stdout
    assert sorted(path.name for path in (shop.folder / text).iterdir()) == [
        "help.txt", "manpages.tsv", "manpages.txt", "words.txt"
    ]  # fmt: skip
    assert not (shop.folder / run / "unpacked").exists()

    again = shop.run("pl")
    assert (again.returncode, again.stdout) == (0, result.stdout)
    assert shop.called() == [f"{infer} {run}/holdout.tsv", f"{infer} {text}/manpages.tsv"]


def test_the_wide_text_is_learned_and_not_scored(shop: Shop) -> None:
    result = shop.run("pl", "0.5", "there", wide="1")
    assert result.returncode == 0, result.stderr
    train = next(line for line in shop.called() if line.startswith("hello-train"))
    assert "--extra=there/text/words.txt --extra=there/text/general.txt" in train
    assert train.endswith("--hidden-size 192 --embedding-dim 40 --minutes 0.5 --output there")
    learned = "Żółw przed przykładem oraz po nim"
    quotation = ["Śpiesz się", "powoli!"]
    general = [*MALLARD_LINES, *MESSAGE_LINES, learned, *DESCRIPTION_LINES, *quotation]
    assert shop.lines("there/text/general.txt") == general
    assert shop.lines("there/text/manpages.txt") == [line for line in MAN_LINES if line != learned]


def test_a_language_without_quotations_is_learned_without(shop: Shop) -> None:
    shutil.rmtree(shop.packages / "fortunes-pl")
    assert shop.run("pl", "1", "there", wide="1").returncode == 0
    assert "powoli!" not in shop.lines("there/text/general.txt")
    assert "fortunes-pl" not in shop.called()


def test_descriptions_that_cannot_be_fetched_are_named(shop: Shop) -> None:
    (shop.packages / "offline").touch()
    result = shop.run("pl", "1", "there", wide="1")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "Error: cannot fetch the descriptions of packages; apt-get says: E: Failed to fetch the "
        "index"
    )
    assert not (shop.folder / "there/text/general.txt").exists()


def test_an_interrupted_step_is_done_again(shop: Shop) -> None:
    (shop.packages / "manpages-pl/usr/share/man/pl/man1/zolw.1").unlink()
    result = shop.run("pl")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith(
        "no manual pages, such as ls.1.gz, in this folder"
    )
    assert not (shop.folder / "runs/diacritics-pl/text/manpages.txt").exists()
    page = (DATA / "zolw.1").read_text(encoding="utf-8")
    (shop.packages / "manpages-pl/usr/share/man/pl/man1/zolw.1").write_text(page, encoding="utf-8")
    (shop.folder / "runs/diacritics-pl/unfinished.safetensors").touch()
    assert shop.run("pl").returncode == 0
    package, train, *_ = shop.called()
    assert package == "manpages-pl"
    assert train.endswith("--minutes 30 --resume --output runs/diacritics-pl")


def test_a_package_that_is_missing_is_named(shop: Shop) -> None:
    result = shop.run("tlh")
    assert result.returncode == 1
    assert result.stderr.splitlines()[1:] == [
        "Error: cannot download the package libreoffice-help-tlh; if it exists for this language, "
        "apt-get update helps; apt-get says: E: Unable to locate package libreoffice-help-tlh"
    ]
    assert list((shop.folder / "runs/diacritics-tlh/text").glob("*.txt")) == []


@pytest.mark.parametrize(
    ("tool", "fix"),
    [
        ("apt-get", "run this on Debian or Ubuntu"),
        ("dpkg-deb", "run this on Debian or Ubuntu"),
        ("hello-train", "run: pip install 'hello-rnn[export]'"),
        ("wordfreq", "run: pip install wordfreq"),
    ],
)
def test_a_tool_that_is_missing_is_named(shop: Shop, tool: str, fix: str) -> None:
    (shop.modules / "wordfreq.py").write_text("raise ImportError" if tool == "wordfreq" else "")
    # Nothing is there but these tools, and what the script starts on its way to them.
    for name in ("bash", "dirname"):
        (shop.folder / "bin" / name).symlink_to(shutil.which(name) or name)
    (shop.folder / "bin" / "python").symlink_to(sys.executable)
    (shop.folder / "bin" / tool).unlink(missing_ok=True)
    result = shop.run("pl", path="")
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {tool} is missing; {fix}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["Polish"], ["--help"]])
def test_the_usage_is_told(shop: Shop, arguments: list[str]) -> None:
    result = shop.run(*arguments)
    assert result.returncode == 1
    assert result.stderr == (
        "Error: usage: diacritics.sh LANG [MINUTES [FOLDER]], LANG as pl or hu\n"
    )


OSIS = """<osis xmlns="http://www.bibletechnologies.net/2003/OSIS/namespace"><osisText>
<note>not of a verse</note>
<verse osisID="Gen.1.1">
  <w>בְּ/רֵאשִׁ֖ית</w> <w>כׇל</w><seg type="x-maqqef">־</seg><w>אֽוֹר<note>left out</note></w>
  <note><catchWord>no</catchWord><rdg>no</rdg></note><seg type="x-sof-pasuq">׃</seg>
  <seg type="x-pe">פ</seg>
</verse>
<verse osisID="Gen.1.2"><w>אוֹ</w></verse><verse osisID="Gen.1.3"/>
</osisText></osis>
"""


def test_verses_keep_vowels_and_lose_accents(tmp_path: Path) -> None:
    (tmp_path / "Gen.xml").write_text(OSIS, encoding="utf-8")
    assert lines_of("osis_to_lines.py", tmp_path) == ["בְּרֵאשִׁית כׇל־אוֹר ׃", "אוֹ"]
    assert "no *.xml in this folder" in recipe("osis_to_lines.py", tmp_path / "none").stderr


def test_words_are_hyphenated_by_patterns(tmp_path: Path) -> None:
    patterns = "UTF-8\nLEFTHYPHENMIN 2\nRIGHTHYPHENMIN 3\n% no\n1ba\n.ko1t\no2ba\nt1e\na1\nó1w\n"
    (tmp_path / "hyph.dic").write_text(patterns, encoding="utf-8")
    words = "barabaż\nkotek\nkobaba\nab\na-b-c\nbaba\nŻÓWBA\n"
    (tmp_path / "words").write_text(words, encoding="utf-8")
    arguments = ("hyphenated_words.py", tmp_path / "hyph.dic", tmp_path / "words")
    shown = {line.replace("\u00ad", "-") for line in lines_of(*arguments, 99)}
    assert shown == {"ba-ra-baż", "ko-tek", "kobaba", "baba", "ŻÓ-WBA"}
    assert lines_of(*arguments, 2) == lines_of(*arguments, 2)
    assert len(lines_of(*arguments, 2)) == 2


def test_phrases_get_the_spaces_of_their_teacher(tmp_path: Path) -> None:
    """Of a network that ends a word behind each ข, by the cell of the direction ahead."""
    gates = [0.0, -20.0, 0.0, 0.0]  # nothing is remembered
    network = {
        "dic": {"ก": 0, "ข": 1},
        "mat1": [[-1.0], [1.0], [0.0]],
        "mat2": {"dim": [1, 4], "data": [0.0, 0.0, 9.0, 0.0]},
        "mat3": [[0.0] * 4],
        "mat4": gates,
        "mat5": [[0.0] * 4],
        "mat6": [[0.0] * 4],
        "mat7": gates,
        "mat8": [[0.0, -1.0, 0.0, 1.0], [0.0] * 4],
        "mat9": [0.0] * 4,
    }
    (tmp_path / "net.json").write_text(json.dumps(network), encoding="utf-8")
    messages = {"a": "กกขกขข และ กขกข", "b": "กขกขกขก, กกขกขข"}
    write_mo(tmp_path / "usr/th/LC_MESSAGES/a.mo", MESSAGES | messages, "<")
    arguments = ("segmented_lines.py", tmp_path / "net.json", tmp_path, "th")
    assert lines_of(*arguments) == ["กกข กข ข", "กข กข กข ก"]
    assert "no hu/LC_MESSAGES/*.mo" in recipe(*arguments[:3], "hu").stderr
