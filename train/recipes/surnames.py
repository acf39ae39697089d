"""Print surnames with the language that each is from: lines of text, TAB, class.

    pip install faker
    python train/recipes/surnames.py > surnames.tsv

Takes the surnames of Faker's providers for 16 languages that are written in Latin letters, each
name once for each language that has it. The same lines come out each time.

The names are those of Faker, under the MIT License.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

LOCALES = {
    "Azerbaijani": ["az_AZ"],
    "Croatian": ["hr_HR"],
    "Czech": ["cs_CZ"],
    "Dutch": ["nl_NL"],
    "English": ["en_GB", "en_US"],
    "Estonian": ["et_EE"],
    "Finnish": ["fi_FI"],
    "French": ["fr_FR", "fr_BE"],
    "German": ["de_DE", "de_AT"],
    "Irish": ["ga_IE"],
    "Italian": ["it_IT"],
    "Kenyan": ["en_KE"],
    "Slovak": ["sk_SK"],
    "Spanish": ["es_ES"],
    "Swedish": ["sv_SE"],
    "Zulu": ["zu_ZA"],
}
"""Languages, and the names of the providers of each."""
LISTS = ("last_names", "last_names_male", "last_names_female")


def surnames(locale: str) -> Iterator[str]:
    """Yield the surnames of a provider; some are there more than once."""
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    for name in LISTS:
        yield from getattr(provider, name, ())


def main() -> None:
    """Write the names of all languages."""
    if len(sys.argv) != 1:
        sys.exit("usage: surnames.py > surnames.tsv")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    try:
        for language, locales in LOCALES.items():
            names = {name for locale in locales for name in surnames(locale)}
            sys.stdout.writelines(f"{name}\t{language}\n" for name in sorted(names))
    except ImportError:
        sys.exit("Error: faker is not installed; run: pip install faker")


if __name__ == "__main__":
    main()
