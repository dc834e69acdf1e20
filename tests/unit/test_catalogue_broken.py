"""Broken catalogues: every mistake is said, at its place, in words that someone who writes no programs can act on."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from schemas.loading import load
from schemas.problems import CatalogueError, Problem

BROKEN = Path(__file__).parent / "broken"

# fmt: off
# File -> every mistake in it, in the file's order: line, column, what stands there, what is said, what would mend it.
CASES: dict[str, tuple[tuple[int, int, str, str, str], ...]] = {
    "bad_grammar": (
        (22, 55, "=", "the character '=' can't stand here", "Write '==' to compare."),
        (23, 59, "in", "the word 'in' can't stand here", "If it is a value, put quotes round it: 'in'."),
        (29, 22, ",", "',' can't stand here", "Write 50_000: a number has no commas."),
        (32, 22, "=", "the character '=' can't stand here", "Write '>='."),
        (34, 60, "'", "the rule ends too early", "a name, a number or duration or a quoted word"),
        (36, 26, "AND", "'AND' can't stand here", "Write 'and'."),
        (38, 25, "not", "'not' can't stand here", "Write 'is known'."),
        (40, 25, "k", "'k' can't stand here", "Write 3_000."),
        (42, 11, "3", "two comparisons in a row", "Write 'a < b and b < c'."),
        (44, 16, "(", "'(' can't stand here", "The only functions are min, max and abs."),
        (46, 11, "min", "min takes two or more values", "min(a, b)"),
        (48, 45, "", "the rule ends too early", "Close the bracket with ')'."),
        (50, 12, "'", "the rule is empty", "a name, a number or duration or a quoted word"),
        (52, 11, "5", "this is a plain number, not a condition", "a condition"),
        (54, 5, "when", "this is empty", "a rule"),
    ),
    "chinese": (
        (2, 10, "一", "this is the text '一'", "a whole number from 1 to 2147483648"),
        (3, 11, "Asia", "there is no time zone 'Asia/Bejing'", "Did you mean 'Asia/Shanghai'?"),
        (4, 11, "rmb", "'rmb' is no currency", "three capital letters such as CNY"),
        (13, 35, "‘", "the character '‘' can't stand here", "Write the plain \"'\"."),
        (14, 35, "'", "'转人' is not one of its values", "one of 转入, 转出"),
        (18, 18, "≥", "the character '≥' can't stand here", "Write '>='."),
        (20, 21, "万", "'万' can't stand here", "Write 50_000."),
    ),
    "circles": (
        (23, 16, "b", "these rest on each other: a -> b -> c -> a", "features that don't lead back here"),
        (26, 21, "itself", "it rests on itself", "features that don't lead back here"),
        (30, 11, "warm", "these rest on each other: hot -> warm -> cold -> hot", "tags that don't lead back here"),
        (36, 11, "not", "it rests on itself", "tags that don't lead back here"),
        (41, 19, "others", "'others' is a segment: segments can't rest on segments", "a feature or tag"),
    ),
    "colon": (
        (23, 24, ":", "a ':' can't stand here", "Put quotes round a text that has a ':' inside."),
    ),
    "comma_in_braces": (
        (24, 22, "min", "YAML has cut this rule at its comma", "Put quotes round the whole rule, or give the rule"),
        (27, 20, "max", "YAML has cut this rule at its comma", "Put quotes round the whole rule, or give the rule"),
    ),
    "comma_in_words": (
        (23, 52, ",", "YAML has cut this rule at its comma", "Put quotes round the whole rule, or give the rule"),
    ),
    "full_width_colon": (
        (21, 5, "：", "this is a full-width colon", "Write ': ' instead of '：'."),
    ),
    "full_width_comma": (
        (21, 25, "，", "this is a full-width '，'", "Write ', ' instead of '，'."),
    ),
    "illegal_windows": (
        (22, 50, "97m", "a window of 97m can't be cut into at most 96 equal", "The nearest window that can is 96m."),
        (23, 50, "1000d", "a window of 1000d can't be cut into at most 96", "The nearest window that can is 672d."),
        (24, 50, "30", "the number 30 is no duration", "Did you mean 30d?"),
        (25, 50, "3", "'3 months' is no duration", "Did you mean 90d?"),
        (26, 49, "36h", "'days' counts whole days, at most 96", "The nearest window is 2d."),
        (27, 61, "4d", "a tile is 1m 2m 5m 10m 15m 30m 1h 2h 3h 6h 12h 1d 2d 3d 5d 6d 7d wide,", "The nearest is 3d."),
        (28, 61, "7d", "tiles of 7d don't cut a window of 30d into 1", "The nearest window that they cut"),
        (29, 43, "window", "'last' looks at all time", "no 'window'"),
        (30, 29, "days", "'days' needs a window", "window: such as 30d"),
        (31, 49, "365d", "'days' counts whole days, at most 96", "The nearest window is 96d."),
        (32, 56, "tile", "'ever' has no tiles", "no 'tile'"),
    ),
    "indentation": (
        (23, 3, "inflow_7d", "this line stands under no other", "Begin it exactly below the first letter of its"),
    ),
    "misspelt_names": (
        (22, 24, "transaction", "there is no source 'transaction'", "Did you mean 'transactions'?"),
        (23, 46, "direktion", "there is no field of source 'transactions' named", "Did you mean 'direction'?"),
        (23, 69, "tpye", "there is no field of source 'transactions' named 'tpye'", "Did you mean 'type'?"),
        (24, 53, "'", "'salery' is not one of its values", "Did you mean 'salary'?"),
        (24, 68, "amont", "source 'transactions' has no field 'amont'", "Did you mean 'amount'?"),
        (25, 33, "transacions", "there is no source 'transacions'", "Did you mean 'transactions'?"),
        (25, 60, "windw", "a feature has no setting 'windw'", "Did you mean 'window'?"),
        (29, 11, "valeu", "'valeu' is not known here", "Did you mean 'value'?"),
        (30, 35, "visit_30d", "there is no feature or tag 'visit_30d'", "Did you mean 'visits_30d'?"),
        (33, 20, "city", "there is no feature 'city'", "a feature with words for values"),
        (36, 11, "rch", "there is no feature or tag 'rch'", "Did you mean 'rich'?"),
        (38, 29, "outcome", "there is no source of events 'outcome'", "one of transactions, visits"),
        (38, 75, "vists_30d", "there is no feature 'vists_30d'", "Did you mean 'visits_30d'?"),
        (40, 24, "rich_saver", "'rich_saver' is not known here", "Did you mean 'rich_savers'?"),
        (40, 44, "entr", "'entr' is not known here", "Did you mean 'enter'?"),
    ),
    "not_a_catalogue": (
        (1, 1, "-", "this is not a catalogue", "lines of 'name: value'"),
    ),
    "open_bracket": (
        (22, 15, "{", "the bracket opened here is not closed", "'}', or ',' before more"),
    ),
    "open_quote": (
        (23, 12, "'", "the quote opened here is never closed", "the same quote at the end"),
    ),
    "since_misuse": (
        (24, 47, "where", "'where' speaks of one source's fields", "one source, or no 'where'"),
        (25, 22, "since_visit", "a 'since' feature moves on with time: it can be compared", "Write since_visit < 14d."),
        (26, 34, "yesterday", "'yesterday' is not known here", "one of last, first"),
        (29, 25, "14", "a 'since' feature is a duration and can't be compared with a plain", "Did you mean 14d?"),
        (31, 11, "since_visit", "a 'since' feature is never compared by ==: it moves on all", "<, <=, > or >="),
        (33, 25, "since_payment", "a 'since' feature is a duration and can't be compared", "one duration such as 14d"),
        (35, 25, "2", "a 'since' feature is a duration and can't be compared with", "one duration such as 14d"),
        (37, 11, "since_visit", "a 'since' feature moves on with time: it can be compared", "Write since_visit < 14d."),
        (39, 11, "since_visit", "a 'since' feature moves on with time: it can be compared", "Write since_visit < 14d."),
        (41, 11, "since_visit", "this is a duration, not a condition", "Compare it: since_visit < 14d."),
    ),
    "sources": (
        (9, 11, "evnt", "'evnt' is not known here", "Did you mean 'event'?"),
        (10, 18, "1", "'1 day' is no duration", "Did you mean 1d?"),
        (12, 15, "float", "there is no type 'float'", "Write number, or money for amounts."),
        (13, 7, "customer_id", "'customer_id' is the source's key, time or id already", "Take this line away."),
        (14, 34, "cent", "'cent' is not known here", "one of minor, major"),
        (15, 38, "12", "this is the number 12", "a whole number from 0 to 9"),
        (16, 30, "decimals", "only a number has decimals", "Money has its currency's decimals."),
        (17, 15, "01", "this is the number 1", "Put quotes round it: '1'."),
        (17, 19, "02", "this is the number 2", "Put quotes round it: '2'."),
        (17, 23, "03", "this is the number 3", "Put quotes round it: '3'."),
        (18, 23, "S", "the value 'S' stands here twice", "each value once"),
        (19, 13, "enum", "a category is declared by its values", "the list of values, [a, b]"),
        (20, 7, "empty", "the field has no type", "one of money, count, number, text, boolean, time, or a list"),
        (21, 32, "payload..page", "this is the text 'payload..page'", "names joined by points, payload.amount"),
        (22, 7, "first", "'first name' can't name a field", "Write first_name."),
        (23, 7, "in", "'in' is a word of the rule language", "another name"),
        (24, 26, "other", "only a list of values has others", "no 'other'"),
        (24, 39, "optinal", "a field has no setting 'optinal'", "Did you mean 'optional'?"),
        (25, 3, "visits", "'key' is missing", "the customer's field"),
        (26, 12, "events", "the topic 'events' belongs to source 'transactions' already", "a topic of its own"),
        (28, 11, "9", "this is the text '9-17'", "hours in quotes, '09:00-21:00'"),
        (29, 12, "maybe", "this is the text 'maybe'", "true or false"),
        (31, 74, "id", "a profile needs no id: its newest record stands for the customer", "no 'id'"),
        (34, 34, "seconds", "'sum' of the number 'seconds' would not be exact", "Declare the field as seconds: {type:"),
        (35, 35, "at", "'at' is the key, time or id of source 'visits'", "one of channel, seconds"),
        (36, 34, "city", "'last' can't be taken of text 'city'", "Declare it as a list of values with 'other: true'."),
        (37, 33, "channel", "'mean' can't be taken of enum 'channel'", "a field of money, count, number"),
        (38, 20, "profiles", "a profile is no stream of events", "'last' of one of its fields, without 'where'"),
        (39, 18, "[", "'max' takes one source, this has 2", "one source"),
    ),
    "tab": (
        (22, 1, "\t", "a tab stands here", "Indent with spaces, never with tabs."),
    ),
    "tags": (
        (25, 3, "two", "a feature has one aggregation, this one has 2:", "one of count, days, sum, min, max,"),
        (26, 3, "none", "a feature has one aggregation, this one has none", "one of count, days, sum, min, max, mean,"),
        (27, 36, "channel", "'count' takes no field", "Use 'where' to count some records only."),
        (29, 3, "no_rule", "a tag has one rule, this one has none", "one of when, levels, category, quantiles, score"),
        (30, 3, "two_rules", "a tag has one rule, this one has when, category", "one of when, levels, category,"),
        (35, 5, "hold", "only a tag that is on or off can hold", "a 'when', or no 'hold'"),
        (37, 36, "otherwise", "'otherwise' is always true: no level after it is", "'otherwise' as the last level"),
        (38, 25, "inflow_30d", "'inflow_30d' is money", "a feature with words for values: top_channel"),
        (39, 22, "early", "'early' is a tag", "a feature with words for values: top_channel"),
        (40, 28, "top_channel", "'top_channel' is a category (one of several", "a feature in numbers: inflow_30d,"),
        (40, 49, "1", "this is the number 1", "a whole number from 2 to 100"),
        (41, 36, "{", "thresholds fall from level to level and end at 0", "{high: 0.30, middle: 0.10, low: 0}"),
        (41, 67, "3", "this is the number 3", "a fraction from 0 to 1, or a percentage such as 10%"),
        (42, 21, "deposit", "a score needs levels", "levels: {high: 0.30, middle: 0.10, low: 0}"),
        (43, 18, "depsit", "'depsit' is not known here", "Did you mean 'deposit'?"),
        (45, 25, "de", "a text in two languages has no setting 'de'", "one of en, zh"),
        (47, 23, "5", "this is the number 5", "Put quotes round it: '5'."),
        (48, 16, "5", "the number 5 is no duration", "Did you mean 5d?"),
        (49, 3, "'", "'two words' can't name a tag", "Write two_words."),
        (51, 3, "not", "'not' is a word of the rule language", "another name"),
        (54, 3, "empty", "'when' is missing", "a condition over tags and features"),
        (55, 3, "early", "a feature or tag is named 'early' too", "a name of its own"),
        (56, 20, "'", "'d' is not one of its values", "one of a, b, c"),
        (58, 22, "empty", "'empty' is a segment: segments can't rest on segments", "a feature or tag"),
        (60, 80, "inflow_30d", "'inflow_30d' stands here twice", "each once"),
        (61, 43, "profiles", "there is no source of events 'profiles'", "one of transactions, visits"),
        (62, 13, "label", "a label is an outcome of a source, or the absence of any", "one of source, absent"),
        (64, 51, "3", "this is the text '3 a month'", "times per days, '3 per 30d'"),
        (64, 69, "21", "this is the text '21-9'", "hours in quotes, '21:00-09:00'"),
        (64, 84, "120", "this is the text '120%'", "a fraction from 0 to 1, or a percentage such as 10%"),
        (65, 3, "never", "'on' is missing", "{segment: a segment, change: enter}"),
    ),
    "targets": (
        (22, 39, "channel", "'sum' can't be taken of enum 'channel'", "a field of money, count, number"),
        (24, 78, "top_channel", "a model can't learn from 'top_channel': it is a", "inflow_30d, since_payment, is_vip"),
        (24, 99, "last_due", "a model can't learn from 'last_due': it is a time", "features in numbers or true and"),
        (25, 63, "top_channel", "a model can't learn from 'top_channel': it is a category", "features in numbers"),
        (31, 9, "last_due", "a model can't learn from 'last_due': it is a time", "features in numbers"),
        (32, 86, "0", "a prior of 0% leaves nothing to learn", "a share between 0 and 1, such as 2%"),
        (33, 87, "100%", "a prior of 100% leaves nothing to learn", "a share between 0 and 1, such as 2%"),
        (34, 86, "3", "this is the number 3", "a fraction from 0 to 1, or a percentage such as 10%"),
        (34, 98, "1", "the number 1 is no duration", "Did you mean 1d?"),
        (35, 82, "refesh", "a target has no setting 'refesh'", "Did you mean 'refresh'?"),
    ),
    "crosses": (
        (15, 31, "[count, spent]", "'count' and 'spent' stand here twice", "each once"),
        (15, 47, "[spent, idle]", "there is no feature 'idle' in the target's features", "one of spent, count"),
        (15, 62, "[count]", "1 features are no pair", "two features, [a, b]; [a, a] squares one"),
        (15, 71, "count", "this is the text 'count'", "two features, [a, b]"),
        (16, 27, "1", "this is the number 1", "a whole number from 2 to 1000000"),
        (16, 41, "perhaps", "this is the text 'perhaps'", "true or false"),
        (16, 50, "when", "a promotion has no setting 'when'", "one of evidence, automatic"),
        (20, 14, "spent", "this is the text 'spent'", "a list, each of two features, [a, b]"),
    ),
    "triggers": (
        (18, 36, "nothing", "source 'profiles' has no field 'nothing'", "one of consent, city"),
        (22, 17, "visit_30d", "there is no feature or tag 'visit_30d'", "Did you mean 'visits_30d'?"),
        (26, 3, "unsaid", "'consent' is missing", "none for service messages"),
        (27, 32, "consent", "'consent' is empty", "none for service messages"),
        (28, 44, "contactible", "there is no feature or tag 'contactible'", "Did you mean 'contactable'?"),
        (29, 42, "visits_30d", "'visits_30d' is a count: it can't say", "none for service messages: agreed,"),
        (30, 41, "home", "'home' is a category (one of several words):", "none for service messages: agreed,"),
        (31, 42, "was_online", "'was_online' is a boolean of events:", "none for service messages: agreed,"),
        (32, 42, "often", "'often' is a tag with several values:", "none for service messages: agreed,"),
        (33, 43, "busy", "'busy' is a segment", "none for service messages: agreed,"),
        (34, 43, "false", "this is false", "Write none, for service messages only."),
        (35, 46, "no", "there is no feature or tag 'no'", "Write none, for service messages only."),
        (38, 60, "0s", "a request that expires at once is never", "a duration such as 1d"),
        (39, 61, "5m", "may be known 5m late (allowed_skew of 'visits')", "more than 5m"),
        (40, 64, "1", "'1 day' is no duration", "Did you mean 1d?"),
        (41, 58, "'", "quiet hours that end as they begin say nothing", "two times, '21:00-09:00'"),
        (42, 66, "'", "these quiet hours leave less than an hour", "Begin and end may be swapped."),
        (43, 54, "0", "a cap of 0 lets nothing through", "To stop a trigger, take it away."),
        (44, 55, "3", "a cap per 0 days limits nothing", "times per days, '3 per 30d'"),
        (45, 59, "100", "with everybody held out nobody is", "To stop a trigger, take it away."),
        (46, 61, "'", "the channel has no name", "a word such as phone or app-push"),
        (47, 56, "cooldwn", "a trigger has no setting 'cooldwn'", "Did you mean 'cooldown'?"),
    ),
    "twice": (
        (24, 3, "inflow_30d", "'inflow_30d' stands here twice, first on line", "Rename one of them, or take it"),
        (25, 3, "odd", "a feature has one aggregation, this one has 2:", "one of count, days, sum, min, max,"),
        (25, 51, "count", "'count' stands here twice, first on line 25", "Rename one of them, or take it away."),
        (30, 5, "when", "'when' stands here twice, first on line 28", "Rename one of them, or take it away."),
        (31, 3, "visits_30d", "a feature is named 'visits_30d' too", "a name of its own"),
    ),
    "wrong_units": (
        (27, 33, "payments_30d", "money does not go with a count", "two values of one unit"),
        (28, 22, "inflow_30d", "money can't be multiplied by money", "a plain number on one side"),
        (31, 24, "14d", "money does not go with a duration", "A duration goes with a duration such as 14d, everything"),
        (33, 47, "50_000", "a 'since' feature is a duration and can't be compared with a", "one duration such as 14d"),
        (35, 26, "3", "a category (one of several words) is compared with a plain number", "Put quotes round it: '3'."),
        (37, 27, "'", "a count is compared with a quoted word", "A number stands without quotes."),
        (39, 18, "true", "nothing is compared with true or false", "Write the name alone, or 'not name'."),
        (41, 11, "inflow_30d", "this is money, not a condition", "Compare it: inflow_30d > 0, or inflow_30d is known."),
        (43, 11, "top_channel", "words have no order: they are compared by ==", "Write top_channel in ('app',"),
        (45, 26, "app", "'app' is a value, not a name", "Put quotes round it: 'app'."),
        (47, 31, "'", "a count can't be one of quoted words", "numbers"),
    ),
}
# fmt: on


@functools.cache
def mistakes(path: Path) -> list[Problem]:
    """The problems of a broken catalogue; none where it loads."""
    try:
        load(path)
    except CatalogueError as error:
        return error.problems
    return []


@pytest.mark.parametrize("name", CASES)
def test_every_mistake_is_said_once_at_its_place_and_how_to_mend_it(name: str) -> None:
    path = BROKEN / f"{name}.yaml"
    found, wanted = mistakes(path), CASES[name]
    assert [(p.line, p.column) for p in found] == [(line, column) for line, column, *_ in wanted]
    for problem, (*_, message, mending) in zip(found, wanted, strict=True):
        assert message in problem.message
        assert mending in (problem.suggestion or problem.expected)


@pytest.mark.parametrize("name", CASES)
def test_the_place_is_where_the_wrong_word_stands(name: str) -> None:
    lines = (BROKEN / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    for line, column, word, *_ in CASES[name]:
        text = lines[line - 1]
        assert text[column - 1 :].startswith(word), f"line {line}: {text!r}"
        assert word or column > len(text.rstrip("'")), f"line {line}: only behind the end stands no word"


def test_every_broken_file_is_in_the_table() -> None:
    assert {path.stem for path in BROKEN.glob("*.yaml")} == CASES.keys()
    assert len(CASES) >= 10


@pytest.mark.parametrize("name", CASES)
def test_every_message_says_what_was_expected_or_what_to_do(name: str) -> None:
    for problem in mistakes(BROKEN / f"{name}.yaml"):
        assert problem.file.endswith(f"{name}.yaml")
        assert problem.expected or problem.suggestion, problem
        assert not any(word in str(problem) for word in ("Traceback", "None", "<class", "CommentedMap", "NoneType"))


def test_all_mistakes_are_said_at_once() -> None:
    assert len(mistakes(BROKEN / "tags.yaml")) == 31
    assert len(mistakes(BROKEN / "sources.yaml")) == 29
