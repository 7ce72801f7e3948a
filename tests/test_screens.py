"""What a person sees, played on a terminal emulator: the recorded screens, and what colours stand for."""

import html
import re
from unicodedata import normalize

import pictures
import pytest

from balcli.render.terminal import PALETTE
from tests.generated import sampled
from tests.lists import each_case
from tests.screens import FOLDER, SCENES, WIDTHS, Screen, one_terminal, recorded

SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.whole
@each_case("scene", sampled(SCENES, 3))
def test_a_scene_looks_as_it_is_recorded(scene: str) -> None:
    """Each scene is to the character what `python -m tests.screens` recorded, at five widths."""
    assert (FOLDER / f"{scene}.txt").read_text(encoding="utf-8").splitlines() == recorded(scene).splitlines()


@pytest.mark.whole
@each_case("scene", sampled(SCENES, 2))
@each_case("columns", sampled(WIDTHS, 3))
def test_what_is_copied_from_a_terminal_is_the_text(scene: str, columns: int) -> None:
    """Lines that fit are shown as they are written: colours bring no character along, and none goes."""
    text = SCENES[scene](columns)
    plain = normalize("NFC", SGR.sub("", text)).split("\n")  # as the emulator composes marks
    shown = Screen(text, columns).lines
    assert [line for line in plain if line.strip() and len(line) <= columns and line not in shown] == []


def test_colours_go_with_words_and_marks() -> None:
    """Success is green, an incomplete total amber, a failure red, each beside a word or a mark that says it."""
    green, amber, red = (f"color({number})" for number in (28, 130, 160))
    assert [green, amber, red] == [PALETTE[style]["color"] for style in ("good", "open", "bad")]
    with one_terminal():
        complete, partial = (Screen(SCENES[name](80), 80) for name in ("complete", "partial"))
    assert [{"008700"}, {"008700"}] == [complete.colours(word) for word in ("4 of 4 accounts", "\u25cf")]
    assert [{"af5f00"}, {"d70000"}, {"d70000"}] == [
        partial.colours(word) for word in ("2 of 4 accounts", "\u2717", "unavailable")
    ]


def test_the_doctor_is_brief_where_all_is_well() -> None:
    """An account that is well is a line; what is not well is told with its cure; offline promises no more than that."""
    text = {name: SGR.sub("", SCENES[name](80)) for name in ("doctor", "doctor-v", "doctor-offline")}
    assert "\n✓ treasury  5 checks, 19 ms\n" in text["doctor"]
    assert [True, True] == ["→ check the account's key" in text[name] for name in ("doctor", "doctor-v")]
    assert [False, True] == ["as it must be" in text[name] for name in ("doctor", "doctor-v")]
    assert text["doctor-offline"].endswith(
        "\nno problems found offline; network and credentials were not tested\n"
    )


@each_case("scene", pictures.PICTURES)
def test_a_picture_shows_its_scene(scene: str) -> None:
    """The drawn text is the scene's, blank for blank, and nothing is fetched from another host."""
    drawn = (pictures.FOLDER / f"{scene}.svg").read_text(encoding="utf-8")
    with one_terminal():
        lines = SGR.sub("", SCENES[scene](pictures.PICTURES[scene][1])).splitlines()
    found: dict[float, str] = {}
    pattern = r'<text xml:space="preserve" class="[^"]*-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>'
    for x, y, text in re.findall(pattern, drawn):
        found[float(y)] = found.get(float(y), "").ljust(round(float(x) / 12.2)) + html.unescape(text)
    shown = [text.replace("\xa0", " ").rstrip() for _, text in sorted(found.items())]
    assert ([line for line in lines if line], []) == (
        [line for line in shown if line],
        re.findall(r"(?:href|src|url\()[^>]{0,20}https?:", drawn),
    )
