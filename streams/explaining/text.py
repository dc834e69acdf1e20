"""A customer's dossier as a page of text: by kind of tag, each with its value, since when and why, rule and values."""

from __future__ import annotations

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.catalogue import TagKind, Unit
from schemas.explanations import (
    SEGMENT,
    Contribution,
    CutExplanation,
    Dossier,
    Explained,
    LifetimeExplanation,
    Reading,
    ScoreExplanation,
)
from schemas.records import Value
from schemas.rule_words import titled
from schemas.tag_words import percent
from streams.explaining.words import cause, say
from streams.web import formats
from streams.web.words import Language, say_or

INDENT: Final = (0, 0, 0, 2)


def show(console: Console, dossier: Dossier) -> None:
    """Print the page."""
    _Page(console, dossier).show()


class _Page:
    def __init__(self, console: Console, dossier: Dossier) -> None:
        self.console, self.dossier = console, dossier
        self.language = Language(dossier.language)

    def show(self) -> None:
        self._line(Text(self._say("customer").format(self.dossier.customer_id), style="bold"))
        at = formats.day_and_time(self.dossier.at, self.dossier.timezone)
        self._line(Text(self._say("as of").format(self.dossier.catalogue, at, self.dossier.timezone), style="dim"))
        for kind in TagKind:
            self._section(kind.value, [tag for tag in self.dossier.tags if tag.kind == kind.value])
        self._section(SEGMENT, self.dossier.segments)

    def _say(self, word: str) -> str:
        return say(word, self.language)

    def _line(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True)

    def _section(self, kind: str, items: list[Explained]) -> None:
        if not items:
            return
        self.console.print()
        self._line(Text(self._say(kind), style="bold underline"))
        for item in items:
            self.console.print()
            self.console.print(self._heading(item), soft_wrap=True)
            self.console.print(Padding(self._body(item), INDENT, expand=False))
        explained = {name for score in self.dossier.scores for name in score.tags}
        if kind == TagKind.PREDICTED and not explained.intersection(item.name for item in items):
            self.console.print()
            self._line(Text(self._say("no model"), style="dim"))

    def _heading(self, item: Explained) -> Text:
        text = Text(titled(item.title, self.language, item.name), style="bold")
        text.append(f" ({item.name}): ", style="dim")
        held = item.value not in (None, False)
        text.append(self._value(item), style="bold green" if held else "dim")
        if item.status:
            text.append(f" [{say_or(item.status, self.language)}]", style="yellow")
        return text.append(f"  {self._since(item)}", style="dim")

    def _value(self, item: Explained) -> str:
        if item.kind == SEGMENT:
            return self._say("in" if item.value else "not in")
        if isinstance(item.value, bool):
            return self._say("on" if item.value else "off")
        return self._say("unknown") if item.value is None else item.value

    def _since(self, item: Explained) -> str:
        if item.since is None:
            return self._say("never")
        at = formats.day_and_time(item.since, self.dossier.timezone)
        if item.cause is None:
            return f"{self._say('since')} {at}"
        return self._say("since").format(at, cause(item.cause, self.language))

    def _body(self, item: Explained) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(self._say("rule"), Text("\n".join(item.rule or [item.text])))
        if item.because:
            grid.add_row(self._say("values"), Text("\n".join(map(self._reading, item.because))))
        if item.cut_points is not None:
            grid.add_row(self._say("cut-points"), Text(self._cuts(item.cut_points)))
        for model in item.lifetimes:
            grid.add_row(self._say("lifetime"), Text(self._lifetime(model)))
        if item.decides:
            grid.add_row(self._say("decides"), Text("\n".join(item.decides)))
        parts: list[RenderableType] = [grid]
        parts += [self._score(score) for score in self.dossier.scores if item.name in score.tags]
        return Group(*parts)

    def _cuts(self, cuts: CutExplanation) -> str:
        at = formats.day_and_time(cuts.at, self.dossier.timezone)
        word = self._say("up to" if cuts.falling else "from value")
        levels = [word.format(level, self._readable(cut, cuts.unit)) for level, cut in enumerate(cuts.cuts, start=2)]
        return "\n".join([*levels, self._say("cuts of").format(cuts.version, at, formats.count(cuts.customers))])

    def _lifetime(self, model: LifetimeExplanation) -> str:
        """What the model knows of the customer, and whom it was learned from."""
        at = formats.day_and_time(model.at, self.dossier.timezone)
        units = (Unit.COUNT, Unit.DURATION, Unit.DURATION, Unit.MONEY)  # in the model's own order
        values = [self._readable(value, unit) for value, unit in zip(model.knows.values(), units, strict=False)]
        said = self._say("bought").format(*values[:3]) + (self._say("paid").format(values[3]) if values[3:] else "")
        title = titled(model.title, self.language, model.model)
        return f"{said}\n{self._say('fitted').format(title, model.version, at, formats.count(model.customers))}"

    def _reading(self, reading: Reading) -> str:
        return f"{titled(reading.title, self.language, reading.name)}: {self._readable(reading.value, reading.unit)}"

    def _readable(self, value: Value, unit: Unit | None) -> str:
        if value is None:
            return self._say("unknown")
        if unit is None and isinstance(value, bool):
            return self._say("on" if value else "off")
        return formats.reading(value, unit, self.dossier.currency, self.dossier.timezone, self.language)

    # ------------------------------------------------------------------------------------------------------- scores

    def _score(self, score: ScoreExplanation) -> RenderableType:
        shares = percent(score.probability), percent(score.usual_probability)
        said = self._say("of usual").format(*shares, score.version)
        lines = [f"{self._say('probability')}  {said}"]
        if not score.ready:
            lines.append(self._say("not ready"))
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for number, word in enumerate(("feature", "customer's", "usual", "effect")):
            table.add_column(self._say(word), justify="right" if number else "left")
        for part in sorted(score.contributions, key=lambda part: -abs(part.push)):
            table.add_row(*map(Text, self._contribution(part)))
        return Group(Text("\n".join(lines)), table, Text(self._say("odds"), style="dim"))

    def _contribution(self, part: Contribution) -> tuple[str, str, str, str]:
        title = titled(part.title, self.language, part.feature)
        shown = self._say("missing counts") if part.value is None else self._readable(part.value, part.unit)
        if part.push == 0:
            effect = self._say("no push")
        else:
            effect = self._say("pushes up" if part.push > 0 else "pushes down").format(part.push).replace("-", "−")
        return title, shown, self._usual(part), effect

    def _usual(self, part: Contribution) -> str:
        if part.unit is Unit.BOOLEAN and isinstance(part.usual, float):
            return self._say("share of yes").format(percent(part.usual))
        if part.unit is Unit.COUNT and isinstance(part.usual, float):
            return formats.number(part.usual, 0 if abs(part.usual) >= 100 else 1)
        return self._readable(part.usual, part.unit)
