"""The loops of a graph network between its matrix products, compiled: one pass over memory where torch takes many.

Arrays are C-contiguous; indices are int64 and numbers single precision. Those next to a matrix product may also be
bfloat16, which NumPy does not know: they come as uint16. Rows of an output beyond those of its input become zero, so
that they add nothing to products over rows.

Numba keeps compiled code until the file of the outermost function changes, so nothing compiled here calls another
module.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.extending import overload

compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
ZERO = np.float32(0)


def _wide(value: Any) -> Any:
    """A number of either kind in single precision; compiled only."""


def _narrow(value: Any, like: Any) -> Any:
    """A number as it is stored beside ``like``, rounded to nearest even; compiled only."""


@overload(_wide, strict=False)
def _wide_of(value: Any) -> Callable:
    if value == numba.types.uint16:
        return lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)
    return lambda value: value


@overload(_narrow, strict=False)
def _narrow_of(value: Any, like: Any) -> Callable:
    if like != numba.types.uint16:
        return lambda value, like: value

    def rounded(value: Any, like: Any) -> Any:
        bits = np.float32(value).view(np.uint32)
        return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))

    return rounded


@compiled
def gather(
    hidden: np.ndarray,
    centres: np.ndarray,
    edges: np.ndarray,
    codes: np.ndarray,
    table: np.ndarray,
    scale: np.float32,
    out: np.ndarray,
) -> None:
    """``out_i = scale · hidden[centre_i] + Σ_j ReLU(hidden_j + table[code_ij])`` over the edges j → i.

    Args:
        hidden: states ``(before, width)``.
        centres: own state of each row of the output, ``(after,)``.
        edges: state and row that each edge leads from and to, ``(2, edges)``.
        codes: row of the table of each edge ``(edges,)``.
        table: ``(codes, width)``.
        scale: 1 + ε.
        out: ``(after or more, width)``, of either kind.
    """
    rows, width = len(centres), hidden.shape[1]
    total = np.empty((rows, width), np.float32)
    for row in range(rows):
        centre = centres[row]
        for k in range(width):
            total[row, k] = scale * hidden[centre, k]
    for edge in range(len(codes)):
        source, target, code = edges[0, edge], edges[1, edge], codes[edge]
        for k in range(width):
            value = hidden[source, k] + table[code, k]
            total[target, k] += ZERO if value < ZERO else value
    like = out.dtype.type(0)
    for row in range(rows):
        for k in range(width):
            out[row, k] = _narrow(total[row, k], like)
    out[rows:] = 0


@compiled
def gather_backward(
    grad: np.ndarray,
    hidden: np.ndarray,
    centres: np.ndarray,
    edges: np.ndarray,
    codes: np.ndarray,
    table: np.ndarray,
    scale: np.float32,
    hidden_grad: np.ndarray,
    table_grad: np.ndarray,
) -> float:
    """Gradients of ``gather``, given that of its output, of either kind; returns that of ``scale``."""
    width = hidden.shape[1]
    products = np.zeros(width, np.float32)
    hidden_grad[:] = 0
    for row in range(len(centres)):
        centre = centres[row]
        for k in range(width):
            passed = _wide(grad[row, k])
            hidden_grad[centre, k] += scale * passed
            products[k] += passed * hidden[centre, k]
    table_grad[:] = 0
    for edge in range(len(codes)):
        source, target, code = edges[0, edge], edges[1, edge], codes[edge]
        for k in range(width):
            passed = _wide(grad[target, k]) if hidden[source, k] + table[code, k] > ZERO else ZERO
            hidden_grad[source, k] += passed
            table_grad[code, k] += passed
    return products.sum()


@compiled
def moments(values: np.ndarray, counts: np.ndarray, mean: np.ndarray, var: np.ndarray) -> None:
    """Mean and variance (biased) of each column of ``values``, of either kind, whose rows count several times."""
    width = values.shape[1]
    sums, squares = np.zeros(width), np.zeros(width)
    for row in range(len(counts)):
        count = np.float64(counts[row])
        for k in range(width):
            value = np.float64(_wide(values[row, k]))
            sums[k] += count * value
            squares[k] += count * value * value
    total = counts.sum()
    for k in range(width):
        average = sums[k] / total
        mean[k] = average
        var[k] = squares[k] / total - average * average


@compiled
def _drop(line: np.ndarray, row: int, seed: np.uint32, bar: np.uint32) -> None:
    """Dropout of one row: zero where 32 bits mixed from seed and place are below the bar, scaled up elsewhere."""
    gain = np.float32(2.0**32 / (2.0**32 - bar))
    start = row * len(line)
    for k in range(len(line)):
        bits = np.uint32(np.uint32(start + k) * np.uint32(0x9E3779B1)) ^ seed  # numba widens products
        bits = np.uint32((bits ^ (bits >> np.uint32(16))) * np.uint32(0x7FEB352D))
        bits = np.uint32((bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B))
        bits ^= bits >> np.uint32(16)
        line[k] = line[k] * gain if bits >= bar else ZERO


@compiled
def normalise(
    values: np.ndarray,
    rows: int,
    mean: np.ndarray,
    slope: np.ndarray,
    shift: np.ndarray,
    floor: np.float32,
    bar: np.uint32,
    seed: np.uint32,
    out: np.ndarray,
) -> None:
    """``max(slope · (values - mean) + shift, floor)`` of the first rows, then dropout.

    Args:
        values: ``(rows or more, width)``, of either kind.
        rows: how many of them count.
        mean: ``(width,)``.
        slope: ``(width,)``.
        shift: ``(width,)``.
        floor: 0 for ReLU, -inf for none.
        bar: probability of dropout in units of 2⁻³².
        seed: of the dropout.
        out: ``(rows or more, width)``, of either kind.
    """
    width = values.shape[1]
    line = np.empty(width, np.float32)
    like = out.dtype.type(0)
    for row in range(rows):
        for k in range(width):
            value = slope[k] * (_wide(values[row, k]) - mean[k]) + shift[k]
            line[k] = floor if value < floor else value
        if bar:
            _drop(line, row, seed, bar)
        for k in range(width):
            out[row, k] = _narrow(line[k], like)
    out[rows:] = 0


@compiled
def normalise_backward(
    grad: np.ndarray,
    out: np.ndarray,
    gain: np.float32,
    values: np.ndarray,
    counts: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    slope: np.ndarray,
    values_grad: np.ndarray,
    slope_grad: np.ndarray,
    shift_grad: np.ndarray,
) -> None:
    """Gradients of ``normalise`` where ``mean`` and ``scale`` follow from the values: batch normalisation.

    Args:
        grad: of the output, of either kind.
        out: the output; where it is zero, by ReLU or dropout, nothing comes back.
        gain: by which dropout scaled up the others.
        values: as there.
        counts: how often each row counts in the mean and the variance, float32 ``(rows,)``.
        mean: as there.
        scale: one over the standard deviation of the values, ``(width,)``.
        slope: weight · scale.
        values_grad: receives the gradient of the values, of either kind.
        slope_grad: receives that of the weight, ``(width,)``.
        shift_grad: receives that of the shift, ``(width,)``.
    """
    rows, width = len(counts), values.shape[1]
    sums, products = np.zeros(width, np.float32), np.zeros(width, np.float32)
    for row in range(rows):
        for k in range(width):
            passed = gain * _wide(grad[row, k]) if out[row, k] != 0 else ZERO
            sums[k] += passed
            products[k] += passed * (_wide(values[row, k]) - mean[k])
    total = counts.sum()
    for k in range(width):
        shift_grad[k] = sums[k]
        slope_grad[k] = products[k] * scale[k]
        sums[k] /= total
        products[k] *= scale[k] * scale[k] / total
    like = values_grad.dtype.type(0)
    for row in range(rows):
        count = counts[row]
        for k in range(width):
            passed = gain * _wide(grad[row, k]) if out[row, k] != 0 else ZERO
            away = _wide(values[row, k]) - mean[k]
            values_grad[row, k] = _narrow(slope[k] * (passed - count * (sums[k] + products[k] * away)), like)
    values_grad[rows:] = 0
