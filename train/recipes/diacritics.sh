#!/usr/bin/env bash
# Teaches a small LSTM the diacritics of a language, from packages that anyone can install.
#
#     bash train/recipes/diacritics.sh LANG [MINUTES [FOLDER]]
#
# LANG is a language that Debian and wordfreq know by its code (pl, hu). The training takes MINUTES
# (30), and everything that is made lies in FOLDER (runs/diacritics-LANG): the text, the run, the
# artifact. The artifact is scored on a tenth of the help pages' lines, which were held out, and on
# manual pages, of which nothing was learned. With WIDE=1 the translations of ten programs, the help
# of GNOME, the descriptions of Debian's packages and, where Debian has them, the quotations of
# fortune are learned from as well (110 MB of downloads), with four times as many rare words and 192
# hidden values in place of 112.
#
# It needs apt-get and dpkg-deb, but not root, and in the Python environment that is active wordfreq
# and hello-rnn[export]. A step whose output is there is not done again, and a training that was
# interrupted goes on; for other text or another number of minutes name another FOLDER.
set -euo pipefail

fail() { # message
    echo "Error: $1" >&2
    exit 1
}

[[ ${1:-} =~ ^[a-z]{2,3}$ ]] || fail "usage: diacritics.sh LANG [MINUTES [FOLDER]], LANG as pl or hu"
language=$1
minutes=${2:-30}
folder=${3:-runs/diacritics-$language}
text=$folder/text
unpacked=$folder/unpacked
recipes=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

for tool in apt-get dpkg-deb; do
    command -v "$tool" > /dev/null ||
        fail "$tool is missing; run this on Debian or Ubuntu, or in a container of one"
done
for tool in hello-train hello-export hello-infer; do
    command -v "$tool" > /dev/null || fail "$tool is missing; run: pip install 'hello-rnn[export]'"
done
python -c 'import wordfreq' 2> /dev/null || fail "wordfreq is missing; run: pip install wordfreq"

make_file() { # name, and the command that prints the content
    local file=$1
    shift
    if [ -e "$file" ]; then return; fi
    echo "making $file" >&2
    "$@" > "$file.part"
    mv "$file.part" "$file"
}

unpack() { # packages
    local package
    for package; do
        mkdir -p "$unpacked/$package"
        (cd "$unpacked/$package" && apt-get -qq download "$package") 2> "$unpacked/apt.log" ||
            apt_fails "cannot download the package $package; if it exists for this language, apt-get \
update helps"
        dpkg-deb -x "$unpacked/$package"/*.deb "$unpacked/$package"
    done
}

apt_fails() { # message
    fail "$1; apt-get says: $(grep '^E:' "$unpacked/apt.log" | head -n 1)"
}

help_lines() {
    unpack "libreoffice-help-$language"
    python "$recipes/html_to_lines.py" "$unpacked/libreoffice-help-$language"
}

# The lists of this machine have the descriptions in its own languages alone.
description_lines() {
    mkdir -p "$unpacked/lists/partial"
    local lists
    lists=$(cd "$unpacked/lists" && pwd)
    apt-get -qq -o Acquire::Languages="$language" -o Dir::State::Lists="$lists" \
        -o Dir::Cache="$lists" -o APT::Update::Error-Mode=any update 2> "$unpacked/apt.log" ||
        apt_fails "cannot fetch the descriptions of packages"
    find "$lists" -name "*_Translation-$language*" -print0 | sort -z |
        PATH=$PATH:/usr/lib/apt xargs -0 -r apt-helper cat-file |
        python "$recipes/descriptions_to_lines.py"
}

wide_lines() {
    unpack "libreoffice-l10n-$language" audacity-data darktable digikam-data evolution-common \
        freeciv-data gimp-data gnome-user-docs gnucash-common gramps vlc-l10n
    python "$recipes/mallard_to_lines.py" "$unpacked/gnome-user-docs/usr/share/help/$language"
    python "$recipes/mo_to_lines.py" "$unpacked" "$language"
    description_lines
    if apt-cache show "fortunes-$language" > /dev/null 2>&1; then
        unpack "fortunes-$language"
        find "$unpacked/fortunes-$language/usr/share/games" -type f ! -name '*.dat' ! -name '*.u8' \
            -print0 | sort -z | xargs -0 cat | grep -v '^%'
    fi
}

# Lines that happen to be in the other texts too are not kept: nothing of this one is learned.
manual_lines() {
    unpack "manpages-$language"
    python "$recipes/man_to_lines.py" "$unpacked/manpages-$language/usr/share/man" |
        awk 'FILENAME != "-" { learned[$0]; next } !($0 in learned)' "$@" -
}

mkdir -p "$text"
trap 'rm -rf "$unpacked"' EXIT
make_file "$text/help.txt" help_lines
# More words would push the words of the help pages aside, and less other text goes with them.
words=50000 hidden=112
if [ "${WIDE:-}" = 1 ]; then words=200000 hidden=192; fi
make_file "$text/words.txt" python "$recipes/word_lines.py" "$language" "$words"
extra=("$text/words.txt")
if [ "${WIDE:-}" = 1 ]; then
    make_file "$text/general.txt" wide_lines
    extra+=("$text/general.txt")
fi
make_file "$text/manpages.txt" manual_lines "$text/help.txt" "${extra[@]}"
make_file "$text/manpages.tsv" python "$recipes/text_to_pairs.py" "$text/manpages.txt" \
    strip-diacritics

if [ ! -e "$folder/checkpoint.safetensors" ]; then
    resume=()
    if [ -e "$folder/unfinished.safetensors" ]; then resume=(--resume); fi
    hello-train --cell lstm --text "$text/help.txt" "${extra[@]/#/--extra=}" \
        --corrupt strip-diacritics --hidden-size "$hidden" --embedding-dim 40 \
        --minutes "$minutes" "${resume[@]}" --output "$folder"
fi
if [ ! -e "$folder/artifact" ]; then
    hello-export "$folder" --weights int8
fi
for pairs in "$folder/holdout.tsv" "$text/manpages.tsv"; do
    echo "$pairs:"
    hello-infer --model "$folder/artifact" --score "$pairs"
done
