"""Rows of voxels added vector by vector, compiled.

The compiler cannot know that two arrays do not overlap and, for rows this short, loses more time in
asking than in adding. What is added here is whole vectors, one instruction each.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nanospine.core.lean import lean

__all__ = ["GROUP", "add_rows", "give_vector", "take_steps"]

GROUP = 8  # numbers of a vector


def _place(context: Any, builder: Any, kind: Any, array: Any, at: Any, number: Any) -> Any:
    """Address of a vector that begins at an index of a flat array."""
    first = builder.gep(context.make_array(kind)(context, builder, array).data, [at])
    return builder.bitcast(first, ir.VectorType(number, GROUP).as_pointer())


@intrinsic
def _add_vector(_typing, flat, at, row, m, weight):  # type: ignore[no-untyped-def]
    """flat[at : at + GROUP] += weight * row[m : m + GROUP], all in single precision."""
    signature = types.void(flat, at, row, m, weight)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        number = ir.FloatType()
        to = _place(context, builder, signature.args[0], args[0], args[1], number)
        of = _place(context, builder, signature.args[2], args[2], args[3], number)
        factor = ir.Constant(ir.VectorType(number, GROUP), ir.Undefined)
        for lane in range(GROUP):
            factor = builder.insert_element(factor, args[4], ir.Constant(ir.IntType(32), lane))
        product = builder.fmul(builder.load(of, align=4), factor)
        builder.store(builder.fadd(builder.load(to, align=4), product), to, align=4)
        return context.get_dummy_value()

    return signature, generate


@lean
def add_rows(flat, at, stride, row, x, groups, weights, first, last, here):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add weighted copies of the vectors of `row` from x on to rows that are `stride` apart.

    Arrays are handed over whole, with places in them: a view of an array costs more than a row.
    """
    if groups == 3:  # the usual widths without an inner loop
        for j in range(first, last):
            weight = here * weights[j]
            _add_vector(flat, at, row, x, weight)
            _add_vector(flat, at + GROUP, row, x + GROUP, weight)
            _add_vector(flat, at + 2 * GROUP, row, x + 2 * GROUP, weight)
            at += stride
    elif groups == 4:
        for j in range(first, last):
            weight = here * weights[j]
            _add_vector(flat, at, row, x, weight)
            _add_vector(flat, at + GROUP, row, x + GROUP, weight)
            _add_vector(flat, at + 2 * GROUP, row, x + 2 * GROUP, weight)
            _add_vector(flat, at + 3 * GROUP, row, x + 3 * GROUP, weight)
            at += stride
    elif groups == 2:
        for j in range(first, last):
            weight = here * weights[j]
            _add_vector(flat, at, row, x, weight)
            _add_vector(flat, at + GROUP, row, x + GROUP, weight)
            at += stride
    else:
        for j in range(first, last):
            weight = here * weights[j]
            for m in range(0, groups * GROUP, GROUP):
                _add_vector(flat, at + m, row, x + m, weight)
            at += stride


@intrinsic
def give_vector(_typing, flat, at, source, start):  # type: ignore[no-untyped-def]
    """flat[at : at + GROUP] += source[start : start + GROUP], rounded to the kind of `flat`."""
    return types.void(flat, at, source, start), _handing_over


def _handing_over(context, builder, signature, args):  # type: ignore[no-untyped-def]
    kinds = [context.get_value_type(signature.args[k].dtype) for k in (0, 2)]
    to = _place(context, builder, signature.args[0], args[0], args[1], kinds[0])
    of = _place(context, builder, signature.args[2], args[2], args[3], kinds[1])
    add = builder.load(of, align=4)
    vector = ir.VectorType(kinds[0], GROUP)
    if isinstance(kinds[0], ir.FloatType) and isinstance(kinds[1], ir.DoubleType):
        add = builder.fptrunc(add, vector)
    elif isinstance(kinds[0], ir.DoubleType) and isinstance(kinds[1], ir.FloatType):
        add = builder.fpext(add, vector)
    builder.store(builder.fadd(builder.load(to, align=4), add), to, align=4)
    return context.get_dummy_value()


@intrinsic
def _take_vector(_typing, to, at, upto, start, factor):  # type: ignore[no-untyped-def]
    """to[at : at + GROUP] = factor * differences of upto[start : start + GROUP + 1]."""
    signature = types.void(to, at, upto, start, factor)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        single, double = ir.FloatType(), ir.DoubleType()
        place = _place(context, builder, signature.args[0], args[0], args[1], single)
        one = ir.Constant(args[3].type, 1)
        low, high = (
            builder.load(_place(context, builder, signature.args[2], args[2], at, double), align=8)
            for at in (args[3], builder.add(args[3], one))
        )
        vector = ir.Constant(ir.VectorType(double, GROUP), ir.Undefined)
        for lane in range(GROUP):
            vector = builder.insert_element(vector, args[4], ir.Constant(ir.IntType(32), lane))
        step = builder.fmul(builder.fsub(high, low), vector)
        builder.store(builder.fptrunc(step, ir.VectorType(single, GROUP)), place, align=4)
        return context.get_dummy_value()

    return signature, generate


@lean
def take_steps(to, at, upto, start, n, factor):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put the differences of n + 1 sums, times a factor, into `to`; whole vectors are written."""
    for i in range(0, n, GROUP):
        _take_vector(to, at + i, upto, start + i, factor)
