"""A catalogue made ready for the kernel: the row's layout, the compiled rules, and the tables that tie them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas import rules
from schemas.catalogue import (
    Aggregation,
    Catalogue,
    Category,
    Code,
    Feature,
    FieldKind,
    Levels,
    Quantiles,
    Score,
    Segment,
    Source,
    Tag,
    When,
)
from schemas.loading_tags import rests_on
from schemas.rules import Expr, Op
from streams.engine import layout
from streams.engine.apart import apart
from streams.engine.layout import RANGE, SOURCE, STORE, TILED, USE, WINDOW, Reading, Rows, StoreKey
from streams.engine.program import Programs
from streams.engine.quantile_plan import code_program, quantile_row
from streams.engine.tables import FEATURE, GROUP, QUANTILE, RULE, SINCE, FeatureKind, RuleKind, Tables
from streams.engine.target_plan import Targets, cross_starts_of, crosses_of

FEATURE_KIND: Final = {
    Aggregation.MEAN: FeatureKind.MEAN,
    Aggregation.DAYS: FeatureKind.DAYS,
    Aggregation.DISTINCT: FeatureKind.DISTINCT,
    Aggregation.TOP: FeatureKind.TOP,
    Aggregation.LAST: FeatureKind.STORED,
    Aggregation.FIRST: FeatureKind.STORED,
    Aggregation.SINCE_LAST: FeatureKind.SINCE,
    Aggregation.SINCE_FIRST: FeatureKind.SINCE,
    Aggregation.COMPUTE: FeatureKind.COMPUTE,
}


class Plan(msgspec.Struct, frozen=True):
    """Everything the engine needs of a catalogue. `said` names tags and segments in the order of evaluation.

    `apart` are the tables to use while a source is frozen: those of `tables`, with windows that no two groups share.
    """

    catalogue: Catalogue
    rows: Rows
    tables: Tables
    fingerprint: str
    said: tuple[str, ...]
    because: tuple[tuple[str, ...], ...]
    text_codes: dict[str, dict[str, dict[str, int]]]
    columns: int
    skew_ms: int
    apart: Tables

    @property
    def width(self) -> int:
        """Words of a row."""
        return self.rows.width


def build(catalogue: Catalogue) -> Plan:
    """The plan of a checked catalogue."""
    readings = {feature.name: layout.reading(feature, catalogue) for feature in catalogue.features}
    rows = layout.lay_out(catalogue, readings)
    return _Builder(catalogue, readings, rows).plan()


def registers_of(catalogue: Catalogue) -> dict[str, int]:
    """The register of every feature and tag: features first, then tags in the order of evaluation."""
    names = [*(feature.name for feature in catalogue.features), *catalogue.tag_order]
    return {name: index for index, name in enumerate(names)}


def word_code(catalogue: Catalogue, name: str, value: str) -> float:
    """The code of a quoted word, given the feature or tag that it is compared with."""
    feature = next((feature for feature in catalogue.features if feature.name == name), None)
    return float((feature or catalogue.tag(name)).values.index(value))


def pack(steps: list[tuple[int, int]]) -> NDArray[np.int64]:
    """Steps as the kernel reads them: the operation in the low byte, its argument above."""
    return np.array([code | argument << 8 for code, argument in steps] or [0], dtype=np.int64)


def rule_exprs(rule: object) -> tuple[Expr | None, ...]:
    """The conditions of a tag's rule; None is `otherwise`."""
    match rule:
        case When(rule=expr):
            return (expr,)
        case Levels(rules=conditions):
            return conditions
        case Quantiles(population=population):
            return (population,)
    return ()


def because_names(item: Tag | Segment) -> tuple[str, ...]:
    """The features and tags a rule uses, in the order of the text, each once."""
    if isinstance(item, Segment):
        found = [name.name for name in rules.names_in(item.rule)]
    elif isinstance(item.rule, Category):
        found = [item.rule.of]
    elif isinstance(item.rule, Code):
        found = [*item.rule.of]
    else:
        found = [n.name for e in rule_exprs(item.rule) if e is not None for n in rules.names_in(e)]
        found = [item.rule.of, *found] if isinstance(item.rule, Quantiles) else found
    return tuple(dict.fromkeys(found))


class _Builder:
    def __init__(self, catalogue: Catalogue, readings: dict[str, Reading], rows: Rows) -> None:
        self.catalogue, self.readings, self.rows = catalogue, readings, rows
        self.programs = Programs()
        self.stores = {key: index for index, key in enumerate(rows.stores)}
        self.features = {feature.name: index for index, feature in enumerate(catalogue.features)}
        tiled = [key for key in rows.stores if key.kind in TILED]
        self.windows = {pair: i for i, pair in enumerate(dict.fromkeys((key.width_ms, key.tiles) for key in tiled))}
        self.groups = {sources: number for number, sources in enumerate(rows.groups)}
        self.registers = registers_of(catalogue)
        self.text_codes = self._text_codes()
        self.targets = Targets(catalogue, rows, self.features)
        self.quantiles: list[tuple[int, ...]] = []

    def plan(self) -> Plan:
        catalogue = self.catalogue
        items: list[Tag | Segment] = [catalogue.tag(name) for name in catalogue.tag_order]
        items += catalogue.segments
        because = tuple(because_names(item) for item in items)
        live = self._live(items)
        tables = self._tables(items, because, live)
        return Plan(
            catalogue=catalogue,
            rows=self.rows,
            tables=tables,
            fingerprint=layout.fingerprint(catalogue),
            said=tuple(item.name for item in items),
            because=because,
            text_codes=self.text_codes,
            columns=max([1, *(len(source.fields) for source in catalogue.sources)]),
            skew_ms=max(source.allowed_skew_ms for source in catalogue.sources),
            apart=apart(tables, [self.groups[key.sources] for key in self.stores]),
        )

    def _live(self, items: list[Tag | Segment]) -> set[str]:
        """Features that rules rest on, directly or through computed ones."""
        live: set[str] = set()
        for item in items:
            live |= set(because_names(item)) if isinstance(item, Segment) else rests_on(item.rule)
        return self._with_bases(live & self.features.keys())

    def _with_bases(self, names: set[str]) -> set[str]:
        """Those features and what computed ones of them rest on."""
        found = set(names)
        for feature in reversed(self.catalogue.features):
            if feature.name in found and feature.compute is not None:
                found |= {name.name for name in rules.names_in(feature.compute)}
        return found

    def _tables(self, items: list[Tag | Segment], because: tuple[tuple[str, ...], ...], live: set[str]) -> Tables:
        wanted = self._with_bases(self.targets.features())
        live_stores = {key for name in live | wanted for key in self.readings[name].stores}
        uses, wheres, sources, fields, starts = self._sources()
        features = np.array(
            [self._feature(f, 1 if f.name in live else 2 * (f.name in wanted)) for f in self.catalogue.features],
            dtype=FEATURE,
        )
        ruled, levels = self._rules(items, because)
        windows, window_stores = self._windows()
        targets, inputs, outcomes, thresholds = self.targets.tables()
        return Tables(
            offset_ms=self.catalogue.offset_ms,
            windows=windows,
            window_stores=window_stores,
            sources=sources,
            stores=np.array([self._store(key, key in live_stores) for key in self.stores], dtype=STORE),
            uses=uses,
            wheres=wheres,
            fields=fields,
            field_starts=starts,
            features=features,
            rules=ruled,
            levels=levels,
            because=np.array([self.registers[n] for names in because for n in names], dtype=np.int64),
            sinces=self._sinces(items),
            targets=targets,
            inputs=inputs,
            crosses=crosses_of(self.catalogue),
            cross_starts=cross_starts_of(self.catalogue),
            outcomes=outcomes,
            thresholds=thresholds,
            scores=np.flatnonzero(ruled["kind"] == RuleKind.SCORE),
            groups=self._groups(),
            quantiles=np.array(self.quantiles, dtype=QUANTILE),
            steps=pack(self.programs.steps),
            constants=np.array(self.programs.constants or [0.0]),
        )

    def _store(self, key: StoreKey, live: bool) -> tuple[int, ...]:
        source = self.catalogue.source(key.sources[0])
        column = layout.source_fields(source)[key.field] if key.field else -1
        offset = self.rows.stores[key]
        window = self._window(key)
        return (int(key.kind), offset, key.tiles, key.width_ms, key.values, column, key.real, live, window)

    def _window(self, key: StoreKey) -> int:
        return self.windows[key.width_ms, key.tiles] if key.kind in TILED else -1

    def _windows(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        found: list[tuple[int, ...]] = []
        stores: list[int] = []
        for (width, tiles), window in self.windows.items():
            mine = [index for key, index in self.stores.items() if self._window(key) == window]
            found.append((width, tiles, len(stores), len(stores) + len(mine), 0))
            stores += mine
        return np.array(found, dtype=WINDOW), np.array(stores, dtype=np.int64)

    def _groups(self) -> NDArray[Any]:
        numbers = {source.name: number for number, source in enumerate(self.catalogue.sources)}
        found = [(stood, sum(1 << numbers[name] for name in names)) for names, stood in self.rows.groups.items()]
        return np.array(found or [(0, 0)], dtype=GROUP)

    def _sources(
        self,
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[np.float64], NDArray[np.int64]]:
        uses: list[tuple[int, int]] = []
        wheres: list[tuple[int, int]] = []
        sources: list[tuple[int, ...]] = []
        fields: list[float] = []
        starts: list[int] = []
        for source in self.catalogue.sources:
            first_use, first_where = len(uses), len(wheres)
            starts.append(len(fields))
            fields += [self._divisor(field.kind, field.decimals) for field in source.fields]
            mine = [key for key in self.stores if source.name in key.sources]
            conditions = list(dict.fromkeys(key.where for key in mine if key.where is not None))
            conditions = list(dict.fromkeys([*conditions, *self.targets.wheres(source)]))
            wheres += [self._where(where, source) for where in conditions]
            uses += [(self.stores[key], conditions.index(key.where) if key.where else -1) for key in mine]
            sources.append(
                (
                    source.profile,
                    source.accept_late_ms,
                    self.rows.newest[source.name],
                    self.rows.ring.get(source.name, -1),
                    first_where,
                    len(wheres),
                    first_use,
                    len(uses),
                    len(source.fields),
                    *self.targets.answer(source, conditions),
                )
            )
        return (
            np.array(uses, dtype=USE),
            np.array(wheres, dtype=RANGE),
            np.array(sources, dtype=SOURCE),
            np.array(fields or [1.0]),
            np.array(starts, dtype=np.int64),
        )

    @staticmethod
    def _divisor(kind: FieldKind, decimals: int | None) -> float:
        if kind is FieldKind.NUMBER:
            return 0.0 if decimals is None else float(10**decimals)
        return 1.0

    def _where(self, where: Expr, source: Source) -> tuple[int, int]:
        def word(name: str, value: str) -> float:
            field = source.field(name)
            if field.kind is FieldKind.TEXT:
                return float(self.text_codes[source.name][name][value])
            return float(field.all_values.index(value))

        return self.programs.add(where, layout.source_fields(source), word)

    def _text_codes(self) -> dict[str, dict[str, dict[str, int]]]:
        """Codes of the texts that `where` rules compare with, by source and field; every other text is their count."""
        codes: dict[str, dict[str, dict[str, int]]] = {}
        wheres = [(name, f.where) for f in self.catalogue.features for name in f.sources if f.where is not None]
        wheres += [(t.label.source, t.label.where) for t in self.catalogue.targets if t.label.source and t.label.where]
        for source in self.catalogue.sources:
            texts = {field.name: dict[str, int]() for field in source.fields if field.kind is FieldKind.TEXT}
            for name, where in wheres:
                if name == source.name:
                    _collect(where, texts)
            codes[source.name] = texts
        return codes

    def _feature(self, feature: Feature, live: int) -> tuple[float, ...]:
        start = end = 0
        if feature.compute is not None:
            start, end = self.programs.add(feature.compute, self.registers, self._word)
        keys = self.readings[feature.name].stores
        kind = FEATURE_KIND.get(feature.aggregation, FeatureKind.TILES)
        store = self.stores[keys[0]] if keys else -1
        counts = self.stores[keys[1]] if len(keys) > 1 else -1
        group = self.groups[keys[0].sources] if keys else 0
        return (int(kind), store, counts, float(10**feature.decimals), start, end, live, group)

    def _word(self, name: str, value: str) -> float:
        return word_code(self.catalogue, name, value)

    def _rules(
        self, items: list[Tag | Segment], because: tuple[tuple[str, ...], ...]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        ruled: list[tuple[float, ...]] = []
        levels: list[tuple[int, int]] = []
        place = 0
        for item, names in zip(items, because, strict=True):
            hold, rule = (0, When(item.rule)) if isinstance(item, Segment) else (item.hold_ms, item.rule)
            start = end = target = 0
            margin = 0.0
            match rule:
                case When(rule=expr):
                    kind = RuleKind.WHEN
                    start, end = self.programs.add(expr, self.registers, self._word)
                case Levels(rules=conditions):
                    kind, start = RuleKind.LEVELS, len(levels)
                    levels += [self.programs.add(e, self.registers, self._word) if e else (0, 0) for e in conditions]
                    end = len(levels)
                case Category(of=of):
                    kind, start = RuleKind.CATEGORY, self.registers[of]
                case Score():
                    kind, margin = RuleKind.SCORE, rule.margin
                    start, end, target = self.targets.levels(rule)
                case Quantiles():
                    kind, start = RuleKind.QUANTILE, len(self.quantiles)
                    self.quantiles.append(self._quantile(rule, len(ruled)))
                case Code():
                    kind = RuleKind.CODE
                    start, end = code_program(self.catalogue, rule, self.programs, self.registers)
            said = self.rows.said[item.name]
            ruled.append((int(kind), said, hold, start, end, place, place + len(names), target, margin))
            place += len(names)
        return np.array(ruled, dtype=RULE), np.array(levels, dtype=RANGE)

    def _quantile(self, rule: Quantiles, place: int) -> tuple[int, ...]:
        feature, stored, population = self.features[rule.of], -1, (0, 0)
        if FEATURE_KIND.get(self.catalogue.features[feature].aggregation) is FeatureKind.SINCE:
            stored = self.rows.stores[self.readings[rule.of].stores[0]]
        if rule.population is not None:
            population = self.programs.add(rule.population, self.registers, self._word)
        return quantile_row(rule, place, feature, stored, population)

    def _sinces(self, items: list[Tag | Segment]) -> NDArray[Any]:
        """Where in the row the time of every compared since feature stands, and how long after it the rule may turn."""
        found: dict[tuple[int, int, int], None] = {}
        exprs: list[Expr | None] = []
        for item in items:
            exprs += [item.rule] if isinstance(item, Segment) else rule_exprs(item.rule)
        for compare in (c for e in exprs if e is not None for c in _compares(e)):
            if isinstance(compare.left, rules.Name) and isinstance(compare.right, rules.Duration):
                index = self.features.get(compare.left.name, -1)
                if index >= 0 and FEATURE_KIND.get(self.catalogue.features[index].aggregation) is FeatureKind.SINCE:
                    key = self.readings[compare.left.name].stores[0]
                    after = compare.right.ms + (compare.op in (Op.LE, Op.GT))
                    found[self.rows.stores[key], after, self.groups[key.sources]] = None
        return np.array(list(found), dtype=SINCE)


def _compares(expr: Expr) -> list[rules.Compare]:
    match expr:
        case rules.Compare():
            return [expr]
        case rules.Not(of=of):
            return _compares(of)
        case rules.Both(parts=parts) | rules.Either(parts=parts):
            return [found for part in parts for found in _compares(part)]
    return []


def _collect(where: Expr, texts: dict[str, dict[str, int]]) -> None:
    def note(left: Expr, right: Expr) -> None:
        if isinstance(left, rules.Name) and isinstance(right, rules.Text) and left.name in texts:
            texts[left.name].setdefault(right.value, len(texts[left.name]))

    match where:
        case rules.Compare(left=left, right=right):
            note(left, right)
        case rules.Among(of=of, values=values):
            for value in values:
                note(of, value)
        case rules.Not(of=of):
            _collect(of, texts)
        case rules.Both(parts=parts) | rules.Either(parts=parts):
            for part in parts:
                _collect(part, texts)
