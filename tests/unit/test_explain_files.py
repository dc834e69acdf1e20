"""`livetags explain --from`: real replays explained, and what is said where they can't be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.explanations import Dossier, Explained
from schemas.learned import LearnedTarget
from tests.explaining import CATALOGUE, LATER, STREAM, explain, replayed
from tests.unit.test_explain_score import model


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replayed(tmp_path_factory.mktemp("now"))


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replayed(tmp_path_factory.mktemp("later"), until=LATER)


@pytest.fixture
def copy(out: Path, tmp_path: Path) -> Path:
    """The output, to be spoiled."""
    return Path(shutil.copytree(out, tmp_path / "out"))


def text(*arguments: str) -> str:
    done = explain(*arguments)
    assert done.exit_code == 0, done.output
    return "\n".join(line.strip() for line in done.output.splitlines())


def dossier(*arguments: str) -> Dossier:
    done = explain(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return msgspec.json.decode(done.output, type=Dossier)


def found(directory: Path, name: str, *arguments: str, customer: str = "C1") -> Explained:
    read = dossier(customer, "--from", str(directory), *arguments)
    (one,) = (item for item in (*read.tags, *read.segments) if item.name == name)
    return one


def refused(*arguments: str) -> str:
    done = explain(*arguments)
    assert done.exit_code == 1, done.output
    assert done.output.startswith("Error: ")
    assert "Traceback" not in done.output
    return str(done.output)


def test_the_page_says_rule_values_since_and_cause_in_words(out: Path) -> None:
    page = text("C1", "--from", str(out), "--tag", "large_inflow")
    # 01:12 UTC is 09:12 in the catalogue's zone
    assert "Large inflow (large_inflow): on  since 2025-01-05 09:12, by an event" in page
    assert "Inflow, 1 hour is at least 50,000 CNY and is at least 3 × Inflow, 30 days ÷ 30" in page
    assert "Inflow, 1 hour: 61,000.00 CNY" in page
    assert "Inflow, 30 days: 62,200.50 CNY" in page
    assert "met: Inflow, 1 hour is at least 50,000 CNY" in page


def test_the_page_goes_from_kind_to_kind_and_ends_with_segments(out: Path) -> None:
    lines = text("C1", "--from", str(out)).splitlines()
    headings = ["Static", "Behaviour", "Value", "Life cycle", "Predicted", "Segments"]
    places = [lines.index(heading) for heading in headings]
    assert places == sorted(places)
    assert next(n for n, line in enumerate(lines) if "(to_call): in " in line) > places[-1]


def test_the_page_speaks_chinese(out: Path) -> None:
    page = text("C1", "--from", str(out), "--lang", "zh")
    assert "大额流入 (large_inflow): 是  自 2025-01-05 09:12 起，因事件" in page
    assert "近1小时入账不低于50,000 CNY且不低于3 × 近30天入账 ÷ 30" in page
    assert "外呼名单 (to_call): 在内" in page


def test_since_and_cause_are_those_of_the_last_change(later: Path) -> None:
    life, inflow = found(later, "life"), found(later, "large_inflow")
    # Fourteen days without a payment, to the millisecond; the hour's window ran empty before.
    assert (life.value, life.since, life.cause) == ("dormant", "2025-01-19T01:12:33.000Z", "time")
    assert (inflow.value, inflow.cause) == (False, "time")
    assert inflow.since is not None
    assert "2025-01-05T02:00:00" <= inflow.since <= "2025-01-05T02:15:00"
    assert "by an event" not in text("C1", "--from", str(later), "--tag", "life")


def test_what_never_changed_says_so(out: Path) -> None:
    vip = found(out, "vip")
    assert (vip.since, vip.cause) == (None, None)
    assert "VIP (vip): off  has never changed" in text("C1", "--from", str(out))


def test_a_segment_says_whether_the_customer_is_in_it_and_what_keeps_them_there_or_out(out: Path) -> None:
    inside, outside = found(out, "to_call"), found(out, "asleep")
    assert (inside.value, inside.since, inside.cause) == (True, "2025-01-05T01:12:33.000Z", "event")
    assert inside.decides == ["met: Large inflow is on", "met: VIP is off"]
    assert (outside.value, outside.decides) == (False, ["not met: Life cycle is dormant"])


def test_another_customer_whose_id_begins_alike_is_not_mixed_in(out: Path) -> None:
    inflow = found(out, "large_inflow", customer="C10")
    assert inflow.value is False
    assert [reading.value for reading in inflow.because] == ["0.00", "0.00"]
    assert inflow.since is None


def test_an_id_of_any_letters_is_found(tmp_path: Path) -> None:
    stream: list[tuple[str, dict[str, Any]]] = [*STREAM]
    for name in ('张"三', "a\\b"):
        stream.append(("pay", {"customer": name, "at": "2025-01-05T01:13:00Z", "id": name, "amount": 5, "way": "in"}))
    out = replayed(tmp_path, stream=stream)
    for name in ('张"三', "a\\b"):
        assert dossier(name, "--from", str(out)).customer_id == name


def test_a_rule_that_uses_tags_says_their_values(out: Path) -> None:
    values = {reading.name: reading.value for reading in found(out, "to_call").because}
    assert values == {"large_inflow": True, "vip": False}
    assert "Large inflow: on" in text("C1", "--from", str(out), "--tag", "to_call")


def test_only_the_named_tags_and_segments_are_told(out: Path) -> None:
    read = dossier("C1", "--from", str(out), "--tag", "life", "--tag", "asleep")
    assert [one.name for one in (*read.tags, *read.segments)] == ["life", "asleep"]
    wrong = explain("C1", "--from", str(out), "--tag", "large_inflows")
    assert wrong.exit_code == 2
    assert "Did you mean 'large_inflow'?" in wrong.output


def test_a_score_is_told_by_what_pushes_it_most_first(copy: Path) -> None:
    (copy / "models.json").write_bytes(msgspec.json.encode([LearnedTarget("deposit", model(), None)]))
    lines = text("C1", "--from", str(copy), "--tag", "intent").splitlines()
    parts = [line for line in lines if "pushes" in line]
    assert [line.split("  ")[0] for line in parts] == [
        "Inflow, 30 days", "Since the last payment", "VIP contract", "Payments",
    ]  # fmt: skip
    assert parts[0].endswith("pushes up +1.22")
    assert "2,979.96 CNY" in parts[0]
    assert parts[2].endswith("pushes down −0.33")
    assert "yes for 30 %" in parts[2]
    assert any("Probability  26.8 % (it would be 4.97 %" in line for line in lines)
    assert len(dossier("C1", "--from", str(copy)).scores) == 1
    assert dossier("C1", "--from", str(copy), "--tag", "life").scores == []


def test_a_score_before_its_first_horizon_is_marked_as_not_to_be_acted_on(copy: Path) -> None:
    (copy / "models.json").write_bytes(msgspec.json.encode([LearnedTarget("deposit", model(ready=False), None)]))
    assert "not to be acted on yet" in text("C1", "--from", str(copy), "--tag", "intent")


def test_without_a_model_the_page_says_so(out: Path) -> None:
    assert "No model was learned" in text("C1", "--from", str(out))
    assert "No model was learned" not in text("C1", "--from", str(out), "--tag", "life")


def test_a_customer_without_records_is_unknown(out: Path) -> None:
    assert "customer-tags.ndjson holds no such customer" in refused("C", "--from", str(out))


@pytest.mark.parametrize("name", ["customer-tags", "tag-changes", "segment-changes"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / f"{name}.ndjson").unlink()
    assert f"{copy / name}.ndjson: can't be read: No such file" in refused("C1", "--from", str(copy))


@pytest.mark.parametrize("name", ["customer-tags", "tag-changes", "segment-changes"])
def test_a_line_of_another_shape_is_named_by_its_number(copy: Path, name: str) -> None:
    path = copy / f"{name}.ndjson"
    with path.open("ab") as file:
        file.write(b'{"customer_id": "C1"}\n')
    line = len(path.read_bytes().splitlines())
    assert f"{path}:{line}: expected a line of {name}: " in refused("C1", "--from", str(copy))


def test_a_file_that_is_none_of_ours_is_named_whoever_is_asked_for(copy: Path) -> None:
    (copy / "tag-changes.ndjson").write_bytes(b"\xff\x00 binary\n")
    assert "tag-changes.ndjson:1: expected a line of tag-changes: " in refused("C1", "--from", str(copy))


def test_a_catalogue_of_another_meaning_is_refused_and_one_of_other_titles_is_not(copy: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(CATALOGUE.replace("50_000", "40_000"), encoding="utf-8")
    said = refused("C1", "--from", str(copy), "--catalogue", str(other))
    assert "other.yaml is not what" in said
    other.write_text(CATALOGUE.replace("Large inflow", "Big inflow"), encoding="utf-8")
    assert "Big inflow (large_inflow): on" in text("C1", "--from", str(copy), "--catalogue", str(other))


def test_without_a_summary_the_catalogue_has_to_be_given_and_its_names_have_to_fit(copy: Path, tmp_path: Path) -> None:
    (copy / "summary.json").unlink()
    assert "give the replay's with --catalogue FILE" in refused("C1", "--from", str(copy))
    given = tmp_path / "given.yaml"
    given.write_text(CATALOGUE, encoding="utf-8")
    assert "Large inflow (large_inflow): on" in text("C1", "--from", str(copy), "--catalogue", str(given))
    given.write_text(CATALOGUE.replace("  worth:", "  value:"), encoding="utf-8")
    assert "the catalogue small is not what" in refused("C1", "--from", str(copy), "--catalogue", str(given))


def test_a_catalogue_that_is_gone_or_broken_is_said_with_the_way_out(copy: Path, tmp_path: Path) -> None:
    summary = json.loads((copy / "summary.json").read_text())
    summary["catalogue_file"] = str(tmp_path / "gone.yaml")
    (copy / "summary.json").write_text(json.dumps(summary))
    said = refused("C1", "--from", str(copy))
    assert "gone.yaml:1:1: file: can't be read" in said
    assert "--catalogue FILE" in said


@pytest.mark.parametrize(("name", "said"), [("summary", "another shape"), ("models", "another shape")])
def test_a_spoiled_file_beside_the_lines_is_named(copy: Path, name: str, said: str) -> None:
    (copy / f"{name}.json").write_text("[7]")
    assert f"{name}.json: of {said}" in refused("C1", "--from", str(copy))


def test_a_model_of_another_catalogue_is_refused(copy: Path) -> None:
    other = model(features=["idle"], means=[1.0], weights=[1.0])
    (copy / "models.json").write_bytes(msgspec.json.encode([LearnedTarget("deposit", other, None)]))
    assert "models.json: the model of 'deposit'" in refused("C1", "--from", str(copy))


@pytest.mark.parametrize(
    "arguments",
    [[], ["--from", ".", "--url", "http://127.0.0.1:1"], ["--url", "http://127.0.0.1:1", "--catalogue", __file__]],
)
def test_exactly_one_of_a_directory_and_an_address_is_wanted(arguments: list[str]) -> None:
    assert explain("C1", *arguments).exit_code == 2
