"""The machine that runs rules: programs of small steps over registers of doubles, NaN being missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import compiled, inlined
from streams.engine.program import FUSED, REGISTER_BITS, Code

# Plain integers, which numba compiles in.
_REGISTER, _CONSTANT = int(Code.REGISTER), int(Code.CONSTANT)
_ADD, _SUB, _MUL, _DIV, _NEGATE = (int(Code[n]) for n in ("ADD", "SUB", "MUL", "DIV", "NEGATE"))
_CMIN, _CMAX, _ABS = int(Code.MIN), int(Code.MAX), int(Code.ABS)
_LT, _LE, _GT, _GE, _EQ, _NE = (int(Code[n]) for n in ("LT", "LE", "GT", "GE", "EQ", "NE"))
_AND, _OR, _NOT, _KNOWN, _MISSING = (int(Code[n]) for n in ("AND", "OR", "NOT", "KNOWN", "MISSING"))
_REGISTER_MASK = (1 << REGISTER_BITS) - 1
SPARE = 66
"""Every array of registers ends in this many numbers of working space: a program's stack, or the sums of an enum."""


@inlined
def run_program(
    steps: NDArray[np.int64], constants: NDArray[np.float64], start: int, end: int, registers: NDArray[np.float64]
) -> float:
    """The value that a program leaves; NaN is missing. The stack is the registers' spare end."""
    bottom = len(registers) - SPARE
    top = bottom - 1
    for at in range(start, end):
        step = steps[at]
        code, argument = step & 255, step >> 8
        if code >= FUSED:
            top += 1
            left, right = registers[argument & _REGISTER_MASK], constants[argument >> REGISTER_BITS]
            found = int(left < right) | int(left == right) << 1 | int(left > right) << 2
            registers[top] = 1.0 if found & code else 0.0  # FUSED's own bit is not among the three
        elif code in (_AND, _OR):
            top -= 1
            if code == _AND:
                registers[top] = 1.0 if registers[top] == 1.0 and registers[top + 1] == 1.0 else 0.0
            else:
                registers[top] = 1.0 if registers[top] == 1.0 or registers[top + 1] == 1.0 else 0.0
        elif code == _REGISTER:
            top += 1
            registers[top] = registers[argument]
        elif code == _CONSTANT:
            top += 1
            registers[top] = constants[argument]
        elif code == _NOT:
            registers[top] = 0.0 if registers[top] == 1.0 else 1.0
        elif code == _NEGATE:
            registers[top] = -registers[top]
        elif code == _ABS:
            registers[top] = abs(registers[top])
        elif code == _KNOWN:
            registers[top] = 1.0 if registers[top] == registers[top] else 0.0
        elif code == _MISSING:
            registers[top] = 0.0 if registers[top] == registers[top] else 1.0
        else:
            top -= 1
            registers[top] = _binary(code, registers[top], registers[top + 1])
    return registers[bottom]


@compiled
def _binary(code: int, a: float, b: float) -> float:
    """A step of two values; comparisons with missing are false, arithmetic with it is missing."""
    if code == _GE:
        return 1.0 if a >= b else 0.0
    if code == _LT:
        return 1.0 if a < b else 0.0
    if code == _EQ:
        return 1.0 if a == b else 0.0
    if code == _NE:
        return 1.0 if a < b or a > b else 0.0
    if code == _GT:
        return 1.0 if a > b else 0.0
    if code == _LE:
        return 1.0 if a <= b else 0.0
    if code == _MUL:
        return a * b
    if code == _ADD:
        return a + b
    if code == _SUB:
        return a - b
    if code == _DIV:
        return np.nan if b == 0.0 else a / b
    if a != a or b != b:
        return np.nan
    return min(a, b) if code == _CMIN else max(a, b)
