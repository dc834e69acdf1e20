"""Checked rules to flat programs: data for the one compiled kernel, so a new catalogue needs no compilation.

A program is a run of (operation, argument) pairs for a stack machine over doubles; NaN stands for missing and a
condition is 1.0 or 0.0. A name is pushed from a register: fields in `where`, features and tags elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final

from schemas import rules
from schemas.rules import Expr, Op


class Code(IntEnum):
    """What one step of a program does to the stack."""

    REGISTER, CONSTANT = 0, 1
    ADD, SUB, MUL, DIV, NEGATE, MIN, MAX, ABS = 2, 3, 4, 5, 6, 7, 8, 9
    LT, LE, GT, GE, EQ, NE = 10, 11, 12, 13, 14, 15
    AND, OR, NOT, KNOWN, MISSING = 16, 17, 18, 19, 20


STACK: Final = 64
FUSED: Final = 32
"""From here on a step compares a register with a constant, both by number, as most rules do: `FUSED + HOLDS[code]`."""
HOLDS: Final = {Code.LT: 1, Code.EQ: 2, Code.LE: 3, Code.GT: 4, Code.NE: 5, Code.GE: 6}
"""When a comparison holds: the sum of 1 for less, 2 for equal, 4 for greater; a missing value is none of them."""
REGISTER_BITS: Final = 20
_ARITH: Final = {Op.ADD: Code.ADD, Op.SUB: Code.SUB, Op.MUL: Code.MUL, Op.DIV: Code.DIV}
_COMPARE: Final = {
    Op.LT: Code.LT,
    Op.LE: Code.LE,
    Op.GT: Code.GT,
    Op.GE: Code.GE,
    Op.EQ: Code.EQ,
    Op.NE: Code.NE,
}
_CALL: Final = {"min": Code.MIN, "max": Code.MAX, "abs": Code.ABS}


class RuleTooDeep(Exception):
    """A rule nested deeper than the kernel's stack."""


class Programs:
    """All programs of a catalogue, one after the other, and the constants they push."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.constants: list[float] = []
        self._places: dict[float, int] = {}

    def add(self, expr: Expr, registers: Mapping[str, int], word: Callable[[str, str], float]) -> tuple[int, int]:
        """Compile a rule; its (start, end) among the steps.

        Parameters
        ----------
        expr
            A checked rule.
        registers
            Register of every name.
        word
            Code of a quoted word, given the name it is compared with.

        Raises
        ------
        RuleTooDeep
            Where the rule needs more than 64 values at once.
        """
        start = len(self.steps)
        depth = _Compiler(self, registers, word).emit(expr)
        if depth > STACK:
            raise RuleTooDeep(f"a rule needs {depth} values at once, at most {STACK} can be held")
        return start, len(self.steps)

    def constant(self, value: float) -> int:
        """The index of a constant."""
        if value not in self._places:
            self._places[value] = len(self.constants)
            self.constants.append(value)
        return self._places[value]


class _Compiler:
    def __init__(self, out: Programs, registers: Mapping[str, int], word: Callable[[str, str], float]) -> None:
        self.out, self.registers, self.word = out, registers, word

    def step(self, code: Code, argument: int = 0) -> None:
        self.out.steps.append((int(code), argument))

    def push(self, value: float) -> int:
        self.step(Code.CONSTANT, self.out.constant(value))
        return 1

    def emit(self, expr: Expr) -> int:
        """Emit the steps that leave the value on the stack; how many values are held at most."""
        match expr:
            case rules.Number():
                return self.push(expr.scaled)
            case rules.Duration(ms=ms):
                return self.push(float(ms))
            case rules.Name(name=name):
                self.step(Code.REGISTER, self.registers[name])
                return 1
            case rules.Negate(of=of):
                return self._after(of, Code.NEGATE)
            case rules.Not(of=of):
                return self._after(of, Code.NOT)
            case rules.Known(of=of, negated=negated):
                return self._after(of, Code.MISSING if negated else Code.KNOWN)
            case rules.Arith(op=op, left=left, right=right):
                return self._fold((left, right), _ARITH[op])
            case rules.Call(function=function, args=args):
                return self._after(args[0], Code.ABS) if function == "abs" else self._fold(args, _CALL[function])
            case rules.Compare(op=op, left=left, right=right):
                return self._compare(_COMPARE[op], left, right)
            case rules.Both(parts=parts):
                return self._fold(parts, Code.AND)
            case rules.Either(parts=parts):
                return self._fold(parts, Code.OR)
            case rules.Among(of=of, values=values, negated=negated):
                return self._among(of, values, negated)
        raise TypeError(type(expr).__name__)

    def _after(self, of: Expr, code: Code) -> int:
        depth = self.emit(of)
        self.step(code)
        return depth

    def _fold(self, parts: tuple[Expr, ...], code: Code) -> int:
        depth = self.emit(parts[0])
        for part in parts[1:]:
            depth = max(depth, 1 + self.emit(part))
            self.step(code)
        return depth

    def _compare(self, code: Code, left: Expr, right: Expr) -> int:
        constant = self._constant(left, right)
        if isinstance(left, rules.Name) and constant is not None:
            argument = self.registers[left.name] | self.out.constant(constant) << REGISTER_BITS
            self.out.steps.append((FUSED + HOLDS[code], argument))
            return 1
        depth = self.emit(left)
        depth = max(depth, 1 + (self.emit(right) if constant is None else self.push(constant)))
        self.step(code)
        return depth

    def _constant(self, left: Expr, right: Expr) -> float | None:
        """The value of a literal that something is compared with; None where it is none."""
        match right:
            case rules.Number():
                return right.scaled
            case rules.Duration(ms=ms):
                return float(ms)
            case rules.Text(value=value) if isinstance(left, rules.Name):
                return self.word(left.name, value)
        return None

    def _among(self, of: Expr, values: tuple[Expr, ...], negated: bool) -> int:
        code, join = (Code.NE, Code.AND) if negated else (Code.EQ, Code.OR)
        depth = self._compare(code, of, values[0])
        for value in values[1:]:
            depth = max(depth, 1 + self._compare(code, of, value))
            self.step(join)
        return depth
