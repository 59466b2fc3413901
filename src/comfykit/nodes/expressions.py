"""Formulas from workflows, evaluated without Python's own `eval`."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from comfykit.errors import UsageError

MOST_CHARACTERS = 4000
LARGEST_EXPONENT = 1024
LARGEST_SHIFT = 1024
LARGEST_BASE = 2**64  # of a power of whole numbers


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > LARGEST_EXPONENT or (isinstance(base, int) and abs(base) > LARGEST_BASE):
        raise ValueError(f"a power that is too large: {base} to the {exponent}")
    made = base**exponent
    if isinstance(made, complex):
        raise ValueError("a root of a negative number")
    return made


def _whole(value: Any) -> int:
    """A whole number for bits: links often bring it as 8.0."""
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{value} has a fraction, and so no bits")
    return int(value)


_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Invert: lambda value: ~_whole(value),
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_BITWISE = (ast.BitAnd, ast.BitOr, ast.BitXor)

_FROM_MATH: tuple[Callable[..., Any], ...] = (
    math.acos,
    math.asin,
    math.atan,
    math.atan2,
    math.ceil,
    math.cos,
    math.degrees,
    math.exp,
    math.floor,
    math.gcd,
    math.hypot,
    math.lcm,
    math.log,
    math.log10,
    math.log2,
    math.radians,
    math.sin,
    math.sqrt,
    math.tan,
    math.trunc,
)

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{function.__name__: function for function in _FROM_MATH},
    "abs": abs,
    "min": min,
    "max": max,
    "round": round,
    "int": int,
    "float": float,
    "bool": bool,
    "pow": _power,
    "sign": lambda value: (value > 0) - (value < 0),
    "clamp": lambda value, low, high: max(low, min(high, value)),
}
CONSTANTS: Mapping[str, float] = {"pi": math.pi, "tau": math.tau}


def evaluate(expression: str, values: Mapping[str, float]) -> float:
    """The number that a formula gives for values by name.

    It knows Python's operators on numbers, `x if condition else y`, and `FUNCTIONS`. Raises `UsageError` for
    anything else, for a division by zero, and for numbers that grow beyond measure.
    """
    if len(expression) > MOST_CHARACTERS:
        raise UsageError(f"the expression is longer than {MOST_CHARACTERS} characters")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        result = _value(tree.body, {**CONSTANTS, **values})
        if not math.isfinite(float(result)):
            raise ValueError(f"it is {result}")
    except SyntaxError as error:
        raise UsageError(f"the expression {expression!r} cannot be read: {error.msg}") from error
    except (ArithmeticError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise UsageError(f"the expression {expression!r} has no value: {error}") from error
    return result  # type: ignore[no-any-return]  # float() took it


def _value(node: ast.expr, names: Mapping[str, float]) -> Any:  # noqa: PLR0911  (one for each kind)
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return value
        case ast.Name(id=name):
            return _named(name, names)
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand, names))
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(op, _value(left, names), _value(right, names))
        case ast.BoolOp(op=op, values=parts):
            return _junction(op, parts, names)
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _comparison(left, ops, others, names)
        case ast.IfExp(test=test, body=body, orelse=other):
            return _value(body if _value(test, names) else other, names)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](*(_value(argument, names) for argument in arguments))
    raise UsageError(
        f"{ast.unparse(node)!r} may not stand in an expression",
        hint=f"it may use the values, numbers, operators and {', '.join(sorted(FUNCTIONS))}",
    )


def _named(name: str, names: Mapping[str, float]) -> float:
    if name in names:
        return names[name]
    given = ", ".join(sorted(set(names) - set(CONSTANTS))) or "none"
    raise UsageError(f"there is no value {name!r} for the expression; given: {given}")


def _binary(op: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(op, ast.Pow):
        return _power(left, right)
    if isinstance(op, ast.LShift | ast.RShift):
        left, right = _whole(left), _whole(right)
        if not 0 <= right <= LARGEST_SHIFT:
            raise ValueError(f"a shift by {right} bits")
        return left << right if isinstance(op, ast.LShift) else left >> right
    if isinstance(op, _BITWISE):
        left, right = _whole(left), _whole(right)
    if type(op) not in _BINARY:
        raise ValueError("an operator that is not for numbers")
    return _BINARY[type(op)](left, right)


def _junction(op: ast.boolop, parts: list[ast.expr], names: Mapping[str, float]) -> Any:
    value: Any = False
    for part in parts:
        value = _value(part, names)
        if bool(value) is isinstance(op, ast.Or):
            break
    return value


def _comparison(
    left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr], names: Mapping[str, float]
) -> bool:
    value = _value(left, names)
    for op, other in zip(ops, others, strict=True):
        if type(op) not in _COMPARE:
            raise ValueError("a comparison that is not for numbers")
        following = _value(other, names)
        if not _COMPARE[type(op)](value, following):
            return False
        value = following
    return True
