"""Texts that are no catalogue, and what one mistake does not do: bring others along."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.loading import load, loads
from schemas.problems import CatalogueError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is not a catalogue"),
        ("just words", "this is not a catalogue"),
        ("catalogue: &a\n  b: *a\n", "'timezone' is missing"),
        ("catalogue: x\ntimezone: 2025-13-45\n", "'2025-13-45' is no value"),
        ("catalogue: x\x01\n", "the invisible character U+0001 stands here"),
        ("catalogue: !!int x\n", "'x' is no value"),
        ("a: " + "[" * 2000, "brackets are nested too deeply"),
        ("a: 1\n---\nb: 1\n", "a second catalogue begins here"),
        ("a: @x\n", "a text can't begin with @"),
        ("a: 'x' and y\n", "there is more text after the closing quote"),
        ("a: [x, y]]\n", "this bracket closes nothing"),
        ("a: * 3\n", "a text can't begin with & or *"),
        ("a: >= 5\n", "a text can't begin with > or |"),
        ("a:\n  b\n  c: 1\n", "this line has no ': '"),
        ("a:\n  b: 1\n   c: 2\n", "this line stands further right than the one above"),
    ],
)
def test_whatever_is_no_catalogue_is_refused_in_plain_words(text: str, message: str) -> None:
    with pytest.raises(CatalogueError) as error:
        loads(text)
    assert any(message in problem.message for problem in error.value.problems), str(error.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CatalogueError, match="can't be read: it is not UTF-8 text"):
        load(path)
    with pytest.raises(CatalogueError, match="can't be read: No such file"):
        load(tmp_path / "none.yaml")


GOOD = """
catalogue: small
timezone: Asia/Shanghai
sources:
  visits: {topic: visits, key: customer_id, time: at, fields: {channel: [app, web], seconds: number}}
features:
  visits_30d: {source: visits, count: true, window: 30d}
  broken_30d: {source: visits, sum: seconds, window: 30d}
  computed: {compute: broken_30d * 2}
tags:
  often: {when: computed > 5 and visits_30d > 3}
  level: {levels: {much: broken_30d > 5, little: otherwise}}
segments:
  people: {when: often and level == 'much'}
targets:
  visit: {label: {source: visits, within: 30d}, features: [broken_30d]}
"""


MENDED = GOOD.replace("seconds: number", "seconds: {type: number, decimals: 1}")


def test_what_rests_on_a_mistake_is_not_a_mistake() -> None:
    with pytest.raises(CatalogueError) as error:
        loads(GOOD)
    assert [problem.path for problem in error.value.problems] == ["features.broken_30d.sum"]
    assert loads(MENDED).tag_order == ("often", "level")


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("version: two", "version"),
        ("title: [a]", "title"),
        ("currency: yuan", "currency"),
        ("timezone: Asia/Shangai", "timezone"),
        ("colour: red", "colour"),
    ],
)
def test_mistakes_at_the_top_are_said_too(line: str, path: str) -> None:
    text = MENDED.replace("timezone: Asia/Shanghai\n", "") if path == "timezone" else MENDED
    with pytest.raises(CatalogueError) as error:
        loads(f"{line}\n{text}")
    assert [(problem.line, problem.path) for problem in error.value.problems] == [(1, path)]
