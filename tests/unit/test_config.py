"""Settings: declared once, read from the environment, documented from their declaration."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.config import Clock, Settings, SettingsError, documented, read


def test_every_setting_has_a_unit_and_a_sentence() -> None:
    for setting in documented():
        assert setting.variable.startswith("LIVETAGS_")
        assert setting.unit, setting.variable
        assert setting.help.endswith("."), setting.variable


def test_documentation_lists_every_setting_once() -> None:
    assert [one.variable for one in documented()] == [f"LIVETAGS_{name.upper()}" for name in Settings.model_fields]


def test_the_environment_sets_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVETAGS_CLOCK", "event")
    monkeypatch.setenv("LIVETAGS_PARTITIONS", "3")
    settings = read({"partitions": 5, "broker": None})
    assert (settings.clock, settings.partitions, settings.broker) == (Clock.EVENT, 5, "127.0.0.1:9092")


def test_a_wrong_value_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVETAGS_FLUSH_INTERVAL_S", "soon")
    with pytest.raises(SettingsError, match=r"^LIVETAGS_FLUSH_INTERVAL_S: .*number"):
        read()


def test_the_group_is_named_after_the_catalogue_unless_set() -> None:
    assert Settings().group("bank") == "livetags-bank"
    assert Settings(app_id="ours").group("bank") == "ours"


def test_state_is_kept_beside_the_project_by_default() -> None:
    assert Settings().data_dir == Path(".livetags")
