"""How kernels are compiled: kept on disk, without the interpreter's lock, and without counting references to arrays.

numba counts every reference a compiled function takes to an array, a field of a tuple of arrays included, with an
atomic addition: 40 % of the kernel's time on the bank catalogue. Arrays that come in as arguments outlive the call, so
nothing here needs counting; what is given up is allocating inside, which numba then refuses when it compiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS: Final[dict[str, Any]] = {"cache": True, "nogil": True, "_nrt": False}

compiled: Final[Callable[[F], F]] = njit(**_OPTIONS)
# Part of its caller: handing tens of arrays to a callee costs more than the callee's work. LLVM does it: numba's own
# inlining takes quadratic time in large callers.
inlined: Final[Callable[[F], F]] = njit(forceinline=True, **_OPTIONS)
# The same done by numba, for what only calls something large, which would be compiled once more with it.
pasted: Final[Callable[[F], F]] = njit(inline="always", **_OPTIONS)
