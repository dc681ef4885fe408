"""Checking a call's arguments where it is made.

A function with the same parameters and an empty body is compiled once per task; calling it with the arguments costs
a tenth of a microsecond, and Python itself words the complaint.
"""

from collections.abc import Callable
from typing import Any

_VARARGS, _VARKEYWORDS, _COROUTINE = 0x04, 0x08, 0x80
Checker = Callable[..., None]


def checker(function: Any, *, bound: bool) -> Checker | None:
    """A function that raises TypeError for arguments that `function` would refuse; None when that cannot be known.

    `bound` leaves out the first parameter.
    """
    code = getattr(function, "__code__", None)
    if code is None or not code.co_name.isidentifier():
        return None
    names = code.co_varnames
    positional, keyword = code.co_argcount, code.co_kwonlyargcount
    first_default = positional - len(function.__defaults__ or ())
    parameters = []
    for i in range(int(bound), positional):
        parameters.append(names[i] if i < first_default else f"{names[i]}=None")
        if i + 1 == code.co_posonlyargcount:
            parameters.append("/")
    rest = positional + keyword
    if code.co_flags & _VARARGS:
        parameters.append(f"*{names[rest]}")
        rest += 1
    elif keyword:
        parameters.append("*")
    defaults = function.__kwdefaults__ or {}
    parameters += [f"{name}=None" if name in defaults else name for name in names[positional : positional + keyword]]
    if code.co_flags & _VARKEYWORDS:
        parameters.append(f"**{names[rest]}")
    made: dict[str, Any] = {}
    exec(f"def {code.co_name}({', '.join(parameters)}): pass", made)
    return made[code.co_name]  # type: ignore[no-any-return]  # it has just been defined


def is_coroutine_function(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)
