"""Conditions on columns as text, such as "photons > 500 and precision_x_nm < 20".

The text is parsed into a tree of which only comparisons, arithmetic, `and`/`or`/`not`, numbers,
texts, names of columns and a few functions are allowed: nothing in it can run code.
"""

from __future__ import annotations

import ast
import difflib
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, SchemaError

__all__ = ["evaluate"]

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow, ast.Mod: operator.mod,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs, "sqrt": np.sqrt, "log": np.log, "log10": np.log10, "exp": np.exp,
    "isfinite": np.isfinite, "hypot": np.hypot, "minimum": np.minimum, "maximum": np.maximum,
}  # fmt: skip
_LONGEST = 2000
_QUOTED = re.compile(r"`([^`]*)`")


def evaluate(expression: str, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Evaluate a condition for each row; rows whose values are empty do not fulfil a comparison.

    Parameters
    ----------
    expression : str
        Column names, numbers, `+ - * / % **`, `< <= > >= == !=` (chains too), `in`, `and`, `or`,
        `not`, brackets, and abs, sqrt, log, log10, exp, hypot, minimum, maximum, isfinite. Names
        with blanks or signs stand in backquotes; texts in quotes.
    table : DataFrame
        The columns.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    SchemaError
        For a column that is not there.
    ConfigError
        For text that is no condition, with the place.

    Examples
    --------
    >>> table = pd.DataFrame({"photons": [100.0, 900.0], "chi2 [1]": [1.0, 2.0]})
    >>> evaluate("photons > 500 and 0 < `chi2 [1]` <= 2", table)
    array([False,  True])
    """
    names: dict[str, str] = {}

    def unquote(match: re.Match[str]) -> str:
        names[f"_column_{len(names)}"] = match[1]
        return f"_column_{len(names) - 1}"

    if len(expression) > _LONGEST:
        raise ConfigError(f"filter: a condition of at most {_LONGEST} letters was expected.")
    try:
        tree = ast.parse(_QUOTED.sub(unquote, expression).strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or str(error)
        raise ConfigError(
            f"filter: {expression!r} is no condition ({reason}); expected something like "
            '"photons > 500 and precision_x_nm < 20".'
        ) from None
    reader = _Reader(expression, table, names)
    with np.errstate(all="ignore"):
        try:
            result = np.asarray(reader.value(tree.body))
        except (TypeError, OverflowError, RecursionError) as error:
            raise ConfigError(f"filter: {expression!r} cannot be evaluated: {error}.") from None
    if result.dtype != bool or result.shape != (len(table),):
        raise ConfigError(
            f"filter: {expression!r} gives numbers; a condition that is true or false for each row "
            "was expected, with < <= > >= == or !=."
        )
    return result


class _Reader:
    """Turns the allowed nodes of a syntax tree into arrays; refuses the others by name."""

    def __init__(self, expression: str, table: pd.DataFrame, names: dict[str, str]) -> None:
        self.expression, self.table, self.names = expression, table, names

    def value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):
            return float(node.value) if isinstance(node.value, int) else node.value
        if isinstance(node, ast.Name):
            return self._column(node.id)
        if isinstance(node, ast.BoolOp):
            return self._bool_op(node)
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return _ARITHMETIC[type(node.op)](
                self._number(node.left, "arithmetic"), self._number(node.right, "arithmetic")
            )
        # `a & b` of pandas and numpy users; brackets around the sides are theirs to set.
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
            left, right = self._truth(node.left), self._truth(node.right)
            return left & right if isinstance(node.op, ast.BitAnd) else left | right
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        raise self._refuse(node)

    def _refuse(self, node: ast.AST) -> ConfigError:
        place = getattr(node, "col_offset", 0)
        return ConfigError(
            f"filter: {type(node).__name__} at letter {place + 1} of {self.expression!r} is not "
            "allowed in a condition; use column names, numbers, comparisons, and, or, not."
        )

    def _column(self, identifier: str) -> Any:
        name = self.names.get(identifier, identifier)
        if name not in self.table:
            close = difflib.get_close_matches(name, [str(item) for item in self.table], n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            known = ", ".join(str(item) for item in self.table.columns)
            raise SchemaError(
                f"filter: there is no column {name!r} in the table.{hint} Its columns: {known}."
            )
        column = self.table[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            return column.astype(str).where(column.notna(), "").to_numpy(dtype=object)
        return column.to_numpy()

    def _truth(self, node: ast.expr) -> Any:
        value = np.asarray(self.value(node))
        if value.dtype != bool:
            raise ConfigError(
                f"filter: in {self.expression!r}, `and`, `or` and `not` stand between conditions; "
                f"{ast.unparse(node)!r} is none."
            )
        return value

    def _number(self, node: ast.expr, what: str) -> Any:
        value = self.value(node)
        kind = np.asarray(value).dtype.kind
        if kind not in "iufb":
            raise ConfigError(f"filter: {what} with {ast.unparse(node)!r}, which holds no numbers.")
        # Unsigned and small integers would wrap around.
        return value if kind == "f" else np.asarray(value, dtype=np.float64)

    def _bool_op(self, node: ast.BoolOp) -> Any:
        parts = [self._truth(item) for item in node.values]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined & part if isinstance(node.op, ast.And) else joined | part
        return joined

    def _unary(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not | ast.Invert):
            return ~self._truth(node.operand)
        if isinstance(node.op, ast.USub):
            return -self._number(node.operand, "minus")
        return self._number(node.operand, "plus")

    def _compare(self, node: ast.Compare) -> Any:
        result: Any = True
        left = node.left
        for kind, right in zip(node.ops, node.comparators, strict=True):
            result = result & self._one_comparison(left, kind, right)
            left = right
        return result

    def _one_comparison(self, left: ast.expr, kind: ast.cmpop, right: ast.expr) -> Any:
        value = self.value(left)
        if isinstance(kind, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List | ast.Set):
                raise self._refuse(right)
            found = np.isin(value, np.asarray([self.value(item) for item in right.elts]))
            return ~found if isinstance(kind, ast.NotIn) else found
        if type(kind) not in _COMPARE:
            raise self._refuse(kind)
        other = self.value(right)
        texts = [np.asarray(item).dtype.kind in "OUS" for item in (value, other)]
        if texts[0] != texts[1]:
            raise ConfigError(
                f"filter: {ast.unparse(left)!r} and {ast.unparse(right)!r} are compared, but one "
                "holds numbers and the other text."
            )
        return np.asarray(_COMPARE[type(kind)](value, other), dtype=bool)

    def _call(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or node.keywords:
            known = ", ".join(sorted(_FUNCTIONS))
            raise ConfigError(
                f"filter: {ast.unparse(node.func)!r} is no function of conditions; known: {known}."
            )
        values = [self._number(item, node.func.id) for item in node.args]
        function = _FUNCTIONS[node.func.id]
        if isinstance(function, np.ufunc) and len(values) != function.nin:
            raise ConfigError(f"filter: {node.func.id} takes {function.nin} values.")
        return function(*values)
