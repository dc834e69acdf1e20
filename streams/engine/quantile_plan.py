"""Quantile tags and codes of a catalogue as the kernel reads them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from schemas import rules
from schemas.catalogue import Catalogue, Code, Quantiles
from schemas.rules import Expr, Op
from streams.engine.program import Programs


def quantile_row(
    rule: Quantiles, place: int, register: int, stored: int, population: tuple[int, int]
) -> tuple[int, ...]:
    """A quantile tag's row of `Tables.quantiles`.

    Parameters
    ----------
    place, register
        Its place among the rules, and its feature's register.
    stored
        Where the row holds the time that its feature counts from; -1 where it is no time since.
    population
        The (start, end) of the program that says who is counted.
    """
    return (place, register, stored, rule.falling, *population, rule.missing_lowest, rule.levels - 1)


def code_program(catalogue: Catalogue, rule: Code, programs: Programs, registers: Mapping[str, int]) -> tuple[int, int]:
    """The (start, end) of the program for the number of a code's word: missing parts make it missing."""
    features = {feature.name: feature.values for feature in catalogue.features}
    number: Expr | None = None
    for name in rule.of:
        part: Expr = rules.Name(column=0, name=name)
        if number is None:
            number = part
            continue
        values = features[name] if name in features else catalogue.tag(name).values
        so_far = rules.Arith(column=0, op=Op.MUL, left=number, right=_literal(len(values)))
        number = rules.Arith(column=0, op=Op.ADD, left=so_far, right=part)
    return programs.add(number or _literal(0), registers, lambda _name, _value: 0.0)


def _literal(value: int) -> Expr:
    return rules.Number(column=0, value=Decimal(value))
