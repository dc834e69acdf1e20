"""The rule language: what its texts mean, in which units, and what is said of those that mean nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import rules
from schemas.catalogue import Unit
from schemas.durations import DAY
from schemas.problems import RuleProblem
from schemas.rules import Arith, Both, Compare, Either, Expr, Known, Name, Not, Number, Op
from schemas.typing import Meaning, Scope, check, check_condition, check_value

SCOPE = Scope(
    {
        "inflow": Meaning(Unit.MONEY),
        "outflow": Meaning(Unit.MONEY),
        "visits": Meaning(Unit.COUNT),
        "share": Meaning(Unit.RATIO),
        "since": Meaning(Unit.DURATION, since=True),
        "opened": Meaning(Unit.TIME),
        "closed": Meaning(Unit.TIME),
        "channel": Meaning(Unit.CATEGORY, ("app", "web", "in")),
        "tier": Meaning(Unit.CATEGORY, ("1", "2", "3", "4", "5")),
        "page": Meaning(Unit.TEXT),
        "vip": Meaning(Unit.BOOLEAN),
    },
    "feature",
    exponent=2,
    broken=("broken",),
    elsewhere={"people": "a segment"},
)


def said(expr: Expr) -> str:
    """The tree as text with every bracket, so that order and precedence show."""
    match expr:
        case Number():
            return f"{expr.scaled:g}"
        case rules.Duration(ms=ms):
            return f"{ms}ms"
        case rules.Text(value=value):
            return repr(value)
        case Name(name=name):
            return name
        case Arith(op=op, left=left, right=right) | Compare(op=op, left=left, right=right):
            return f"({said(left)} {op} {said(right)})"
        case rules.Negate(of=of):
            return f"-{said(of)}"
        case rules.Call(function=function, args=args):
            return f"{function}({', '.join(map(said, args))})"
        case rules.Among(of=of, values=values, negated=negated):
            return f"({said(of)}{' not' * negated} in {', '.join(map(said, values))})"
        case Known(of=of, negated=negated):
            return f"({said(of)} is {'missing' if negated else 'known'})"
        case Not(of=of):
            return f"(not {said(of)})"
        case Both(parts=parts):
            return f"({' and '.join(map(said, parts))})"
        case Either(parts=parts):
            return f"({' or '.join(map(said, parts))})"
    raise TypeError(type(expr).__name__)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a", "a"),
        ("1_000 + 2 * 3", "(1000 + (2 * 3))"),
        ("(1 + 2) * 3", "((1 + 2) * 3)"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b / c", "((a / b) / c)"),
        ("a / b * c", "((a / b) * c)"),
        ("-a * b", "(-a * b)"),
        ("a - -3", "(a - -3)"),
        ("--a > 1", "(--a > 1)"),
        ("a or b and c", "(a or (b and c))"),
        ("(a or b) and c", "((a or b) and c)"),
        ("not a and b", "((not a) and b)"),
        ("not a > 1", "(not (a > 1))"),
        ("not not a", "(not (not a))"),
        ("a and b and c", "(a and b and c)"),
        ("a > 1 and b <= 2 or c != 3", "(((a > 1) and (b <= 2)) or (c != 3))"),
        ("a + 1 >= 2 * b", "((a + 1) >= (2 * b))"),
        ("a in ('x', \"y\",)", "(a in 'x', 'y')"),
        ("a not in (1, -2.5)", "(a not in 1, -2.5)"),
        ("a is missing or b is known", "((a is missing) or (b is known))"),
        ("min(a, b, 3) < max(c, 1)", "(min(a, b, 3) < max(c, 1))"),
        ("abs(a - b) < 1.50", "(abs((a - b)) < 1.5)"),
        ("a < 14d and b < 90s", "((a < 1209600000ms) and (b < 90000ms))"),
        ("a\n  > \t3", "(a > 3)"),
        ("余额 > 5", "(余额 > 5)"),
        ("minimum > 1 and max_30d > 2", "((minimum > 1) and (max_30d > 2))"),
        ("inside == 'and' and order == 'in'", "((inside == 'and') and (order == 'in'))"),
        ("app_7d > d and m30 > h", "((app_7d > d) and (m30 > h))"),
    ],
)
def test_a_rule_means(text: str, tree: str) -> None:
    assert said(rules.parse(text)) == tree


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 0, "empty"),
        ("a >", 3, "too early"),
        ("(a > 5", 6, "Close the bracket"),
        ("a > 5)", 5, "')' can't stand here"),
        ("a = 5", 2, "'=='"),
        ("a => 5", 2, "'>='"),
        ("a == in", 5, "put quotes round it: 'in'"),
        ("a in (x, y)", 6, "put quotes round it: 'x'"),
        ("a in 'x'", 5, "round brackets"),
        ("a not in ()", 10, "a quoted word"),
        ("a > 50,000", 6, "50_000"),
        ("a > 5万", 5, "50_000"),
        ("a > 1e6", 5, "1_000_000"),
        ("a < 14 d", 7, "Write 14d"),
        ("a < 14days", 6, "Write 14d"),
        ("a < 3 months", 6, "Write 90d"),
        ("a < 1.5h", 7, "90m instead of 1.5h"),
        ("a is not missing", 5, "'is known'"),
        ("a == missing", 5, "'is missing'"),
        ("a <> 5", 3, "!="),
        ("a AND b", 2, "Write 'and'"),
        ("a && b", 2, "Write 'and'"),
        ("a an b", 2, "Did you mean 'and'?"),
        ("a > 10%", 6, "0.1 for 10 %"),
        ("a > .5", 4, "0.5"),
        ("a == 'x", 5, "never closed"),
        ("1 < a < 5", 0, "two comparisons"),
        ("min(a)", 0, "two or more"),
        ("abs(a, b)", 0, "one value"),
        ("round(a) > 1", 5, "min, max and abs"),
        ("a ≥ 5", 2, "'>='"),
        ("a（b）", 1, "plain '('"),
        ("a.b > 1", 1, "letters, digits and _ only"),
        ("a between 1 and 5", 2, "name >= 1 and name <= 5"),
        ("(" * 200 + "a" + ")" * 200, 0, "too deeply"),
        ("not " * 2000 + "a", 0, "too deeply"),
    ],
)
def test_a_text_that_is_no_rule_says_where_and_what_to_write(text: str, column: int, words: str) -> None:
    with pytest.raises(RuleProblem) as error:
        rules.parse(text)
    problem = error.value
    assert problem.column == column
    assert words in f"{problem.message} {problem.expected} {problem.suggestion}"


@given(st.text(alphabet="ab1 ()'<>=+-*/,.inotmsd_万\n", max_size=30))
def test_any_text_is_a_rule_or_a_rule_problem(text: str) -> None:
    column, message = 0, "none"
    try:
        rules.parse(text)
    except RuleProblem as problem:
        column, message = problem.column, problem.message
    assert 0 <= column <= len(text)
    assert message


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("inflow > 50_000", "(inflow > 5e+06)"),
        ("50_000 < inflow", "(5e+06 < inflow)"),
        ("inflow >= 0.01", "(inflow >= 1)"),
        ("inflow > 3 * outflow / 30", "(inflow > ((3 * outflow) / 30))"),
        ("inflow > 2 * (1 + 2)", "(inflow > (200 * (1 + 2)))"),
        ("inflow - 5 > -1", "((inflow - 500) > -100)"),
        ("inflow > min(5, outflow, 2 * 3)", "(inflow > min(500, outflow, (200 * 3)))"),
        ("max(5, 6) < inflow", "(max(500, 600) < inflow)"),
        ("inflow / outflow > 0.5", "((inflow / outflow) > 0.5)"),
        ("inflow / 2 > 5", "((inflow / 2) > 500)"),
        ("inflow in (1, -2.5)", "(inflow in 100, -250)"),
        ("visits > 3 and share < 0.5", "((visits > 3) and (share < 0.5))"),
        ("visits / 2 < share", "((visits / 2) < share)"),
        ("since < 14d", f"(since < {14 * DAY}ms)"),
        ("14d > since", f"(since < {14 * DAY}ms)"),
        ("14d <= since", f"(since >= {14 * DAY}ms)"),
        ("closed - opened > 30d", f"((closed - opened) > {30 * DAY}ms)"),
        ("(closed - opened) / 2 > 1d + 2d", f"(((closed - opened) / 2) > ({DAY}ms + {2 * DAY}ms))"),
        ("closed > opened", "(closed > opened)"),
        ("'app' == channel", "(channel == 'app')"),
        ("channel not in ('app', 'web')", "(channel not in 'app', 'web')"),
        ("tier in ('4', '5') and not vip", "((tier in '4', '5') and (not vip))"),
        ("page != 'home' or page is missing", "((page != 'home') or (page is missing))"),
        ("since is known", "(since is known)"),
    ],
)
def test_literals_take_the_unit_of_what_they_meet(text: str, tree: str) -> None:
    assert said(check_condition(rules.parse(text), SCOPE)) == tree


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("inflow - outflow", Unit.MONEY),
        ("inflow - 5", Unit.MONEY),
        ("2 * inflow", Unit.MONEY),
        ("inflow / visits", Unit.MONEY),
        ("inflow / outflow", Unit.RATIO),
        ("visits + visits", Unit.COUNT),
        ("visits * visits", Unit.COUNT),
        ("visits / visits", Unit.RATIO),
        ("visits + 0.5", Unit.RATIO),
        ("closed - opened", Unit.DURATION),
        ("(closed - opened) / 1d", Unit.RATIO),
        ("min(inflow, 5)", Unit.MONEY),
        ("-visits", Unit.COUNT),
        ("max(visits, 3)", Unit.RATIO),
    ],
)
def test_a_computed_value_has_a_unit(text: str, unit: Unit) -> None:
    assert check_value(rules.parse(text), SCOPE)[1] is unit


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("infow > 5", 0, "Did you mean 'inflow'?"),
        ("people and vip", 0, "'people' is a segment"),
        ("inflow > 14d", 9, "money does not go with a duration"),
        ("14d < inflow", 0, "a duration does not go with money"),
        ("inflow > visits", 9, "money does not go with a count"),
        ("inflow + visits > 3", 9, "money does not go with a count"),
        ("inflow * outflow > 3", 0, "money can't be multiplied by money"),
        ("visits / inflow > 3", 0, "a count can't be divided by money"),
        ("opened + closed > 3", 0, "two times can't be added"),
        ("opened > 3", 9, "a time does not go with a plain number"),
        ("since < 14", 8, "Did you mean 14d?"),
        ("since == 14d", 0, "<, <=, > or >="),
        ("since < 2 * 7d", 8, "a computed duration"),
        ("since < since", 8, "one duration such as 14d"),
        ("since + 1d < 14d", 0, "not computed with"),
        ("abs(since) < 14d", 4, "not computed with"),
        ("since in (1, 2)", 0, "not computed with"),
        ("channel == 'ap'", 11, "Did you mean 'app'?"),
        ("channel == app", 11, "Put quotes round it: 'app'."),
        ("app == channel", 0, "Put quotes round it: 'app'."),
        ("channel in ('app', 'wap')", 19, "one of app, web, in"),
        ("channel > 'app'", 0, "words have no order"),
        ("tier >= '4'", 0, "tier in ('4', '5')"),
        ("tier == 4", 8, "Put quotes round it: '4'."),
        ("tier in (4, 5)", 9, "Put quotes round it: '4'."),
        ("channel == tier", 11, "a quoted word"),
        ("channel + 1 > 2", 0, "can't be computed with"),
        ("visits == '3'", 10, "without quotes"),
        ("visits in (1, 'two')", 14, "numbers"),
        ("'a' == 'a'", 0, "always the same"),
        ("vip == true", 7, "Write the name alone"),
        ("vip == vip", 0, "not compared"),
        ("vip in (1, 2)", 0, "can't be one of several"),
        ("inflow", 0, "inflow > 0, or inflow is known"),
        ("since", 0, "since < 14d"),
        ("channel", 0, "channel == 'app'"),
        ("vip and visits", 8, "visits > 0"),
        ("not inflow", 4, "inflow > 0"),
        ("3", 0, "not a condition"),
        ("'x'", 0, "not a condition"),
    ],
)
def test_units_that_do_not_fit_say_where_and_what_fits(text: str, column: int, words: str) -> None:
    with pytest.raises(RuleProblem) as error:
        check_condition(rules.parse(text), SCOPE)
    problem = error.value
    assert problem.column == column
    assert words in f"{problem.message} {problem.expected} {problem.suggestion}"


def test_every_mistake_of_a_rule_is_raised_at_once() -> None:
    with pytest.raises(RuleProblem) as error:
        check_condition(rules.parse("infow > outfow and (channel == 'ap' or tier in ('6', '7')) and vip"), SCOPE)
    problems = [error.value, *error.value.others]
    assert [problem.column for problem in problems] == [0, 8, 31, 48, 53]


@pytest.mark.parametrize("text", ["vip", "inflow > 3", "channel == 'app'", "'x'"])
def test_a_computed_feature_is_a_number(text: str) -> None:
    with pytest.raises(RuleProblem, match="not a number"):
        check_value(rules.parse(text), SCOPE)


def test_names_come_in_the_order_of_the_text() -> None:
    rule = rules.parse("b > min(a, c) and not (d in ('x', 'y') or e is missing) and a < -f / 2")
    assert [name.name for name in rules.names_in(rule)] == ["b", "a", "c", "d", "e", "a", "f"]


def test_a_literal_is_the_double_nearest_to_what_is_written() -> None:
    assert Number(value=Decimal("0.1"), scale=2).scaled == 10.0
    assert Number(value=Decimal("61000.505"), scale=2).scaled == 6100050.5
    expr, meaning = check(rules.parse("0.1 + 0.2"), SCOPE)
    assert meaning.constant
    assert isinstance(expr, Arith)
    assert expr.op is Op.ADD


def test_is_known_speaks_of_names_not_of_constants() -> None:
    from schemas.typing import Scope, check_condition

    with pytest.raises(RuleProblem, match="always known"):
        check_condition(rules.parse("'a' is known"), Scope({}, "feature", 2))
