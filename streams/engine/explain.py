"""Why a customer has a tag or is in a segment, since when, and what would flip it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Segment, Tag
from schemas.explanations import CutExplanation
from schemas.population import CutPoints
from schemas.records import Value
from schemas.rule_text import conditions, unparse
from schemas.rules import Expr
from schemas.values import iso, named_value, said_value
from streams.engine.evaluate import decide, desk, read_all
from streams.engine.explain_cuts import explain_cuts
from streams.engine.kernel import CAUSES
from streams.engine.layout import NEVER, NOW
from streams.engine.machine import run_program
from streams.engine.plan import Plan, pack, registers_of, rule_exprs, word_code
from streams.engine.program import Programs
from streams.engine.quantiles import Cuts
from streams.engine.spans import Freeze, nothing_frozen

MOST_MOMENTS: Final = 2_000


class Explanation(msgspec.Struct, frozen=True):
    """A tag or segment of one customer: its value, since when and by which cause (None: it never changed).

    `because` holds what the rule uses as it is now; `flips` says which conditions decide, and when it turns by itself;
    `cut_points` where a quantile tag's levels begin.
    """

    name: str
    title: dict[str, str]
    value: bool | str | None
    since: str | None
    cause: str | None
    rule: str
    because: dict[str, Value]
    flips: str
    cut_points: CutExplanation | None = None


def explain(
    plan: Plan,
    row: NDArray[np.int64],
    cuts: Cuts | None = None,
    points: Mapping[str, CutPoints] | None = None,
    freeze: Freeze | None = None,
) -> list[Explanation]:
    """The explanation of every tag (in the catalogue's order), then every segment, at the row's now.

    Parameters
    ----------
    cuts
        The cut-points that the row is measured by.
    points
        What these are, by tag.
    freeze
        What is frozen; None: every source flows.
    """
    return _Explainer(plan, row, cuts, points or {}, freeze or nothing_frozen(plan.tables)).all()


class _Explainer:
    def __init__(
        self,
        plan: Plan,
        row: NDArray[np.int64],
        cuts: Cuts | None,
        points: Mapping[str, CutPoints],
        freeze: Freeze,
    ) -> None:
        self.points = points
        self.plan, self.catalogue, self.row = plan, plan.catalogue, row
        self.views = row, row.view(np.int32), row.view(np.float64)
        self.now = int(row[NOW])
        self.places = {name: index for index, name in enumerate(plan.said)}
        self.names = registers_of(self.catalogue)
        self.tables = plan.apart if freeze.on[0] else plan.tables
        self.desk = desk(plan.tables, len(self.names), None, freeze, cuts)
        self.registers = self.desk.registers
        self.turns = self._turns()
        decide(self.tables, self.now, *self.views, False, False, self.desk)
        read_all(self.tables, self.now, *self.views, self.desk)

    def all(self) -> list[Explanation]:
        items: list[Tag | Segment] = [*self.catalogue.tags, *self.catalogue.segments]
        return [self._item(item) for item in items]

    def _item(self, item: Tag | Segment) -> Explanation:
        index = self.places[item.name]
        at = self.plan.rows.said[item.name]
        code, cause = (int(self.row[at + 1]) >> 4) - 1, int(self.row[at + 1]) & 15
        because = {
            n: named_value(self.catalogue, n, float(self.registers[self.names[n]])) for n in self.plan.because[index]
        }
        return Explanation(
            name=item.name,
            title=item.title,
            value=said_value(item, code),
            since=iso(int(self.row[at])) if cause else None,
            cause=CAUSES[cause - 1].value if cause else None,
            rule=item.text,
            because=because,
            flips=self._flips(item, index, code),
            cut_points=explain_cuts(self.catalogue, item, self.points),
        )

    def _flips(self, item: Tag | Segment, index: int, code: int) -> str:
        if isinstance(item, Tag) and item.waits and code < 0 and item.name not in self.points:
            return item.waits
        parts: list[str] = []
        exprs = (item.rule,) if isinstance(item, Segment) else rule_exprs(item.rule)
        if isinstance(item, Segment) or item.boolean:
            parts += [self._verdict(expr, code == 1) for whole in exprs if whole for expr in conditions(whole)]
        if index in self.turns:
            at, turned = self.turns[index]
            said = {True: "on", False: "off", None: "unknown"}
            value = said_value(item, turned)
            word = said[value] if isinstance(value, bool) or value is None else value
            parts.append(f"turns {word} at {iso(at)} if nothing happens")
        return "; ".join(part for part in parts if part)

    def _verdict(self, expr: Expr, on: bool) -> str:
        """Whether a condition holds now; only those that decide are said: what fails keeps a tag off."""
        programs = Programs()
        start, end = programs.add(expr, self.names, lambda name, value: word_code(self.catalogue, name, value))
        constants = np.array(programs.constants or [0.0])
        holds = run_program(pack(programs.steps), constants, start, end, self.registers) == 1.0
        if holds != on:
            return ""
        return f"{unparse(expr)} {'holds' if holds else 'does not hold'}"

    def _turns(self) -> dict[int, tuple[int, int]]:
        """When each tag or segment would first change if no record came, and its code then."""
        found: dict[int, tuple[int, int]] = {}
        held = [(int(self.row[self.plan.rows.said[name] + 1]) >> 4) - 1 for name in self.plan.said]
        at = self.now
        for _ in range(MOST_MOMENTS):
            at = decide(self.tables, at, *self.views, False, False, self.desk)
            if at == NEVER:
                break
            decide(self.tables, at, *self.views, False, False, self.desk)
            after = self.desk.codes.tolist()
            for index, code in enumerate(held):
                if index not in found and after[index] != code:
                    found[index] = (int(at), after[index])
        return found
