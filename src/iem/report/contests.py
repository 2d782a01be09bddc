"""Figures that compare methods over many tables, as SVG text."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from iem.report.style import COLOURS, INK, short, styled, svg


def forest(gaps: Sequence[tuple[str, float, float, float]]) -> str:
    """Differences with their intervals, one line each.

    Args:
        gaps: name, mean, low and high end; positive is better.
    """
    with styled("forest"):
        figure = Figure(figsize=(7.4, 0.6 + 0.22 * len(gaps)))
        axes = figure.subplots()
        axes.axvline(0, color=INK, alpha=0.5, linewidth=0.8)
        for place, (_, mean, low, high) in enumerate(gaps):
            shade = COLOURS[0] if low > 0 else COLOURS[3] if high < 0 else INK
            axes.plot([low, high], [place, place], color=shade, linewidth=1.8)
            axes.plot(mean, place, "D", color=shade, markersize=4)
        axes.set_yticks(range(len(gaps)), [short(name, 64) for name, *_ in gaps])
        axes.set(ylim=(len(gaps) - 0.4, -0.6), xlabel="difference, positive is better")
        axes.grid(visible=False, axis="y")
        return svg(figure)


def critical_differences(ranks: Sequence[tuple[str, float]], least: float) -> str:
    """Mean ranks on a line, best on the left; a bar joins methods that the tables cannot tell apart.

    Args:
        ranks: method and mean rank, best first.
        least: difference from which two methods differ (Nemenyi's test).

    References:
        Demšar, J. Mach. Learn. Res. 2006, 7, 1-30.
    """
    places = [place for _, place in ranks]
    joined: list[tuple[int, int]] = []
    for first, start in enumerate(places):
        last = max(index for index, place in enumerate(places) if place - start < least)
        if last > first and (not joined or last > joined[-1][1]):
            joined.append((first, last))
    rows = (len(ranks) + 1) // 2
    depth = 0.4 + 0.35 * len(joined)
    with styled("ranks"):
        figure = Figure(figsize=(7.4, 0.9 + 0.24 * rows + 0.1 * len(joined)))
        axes = figure.subplots()
        low, high = 1.0, float(max(len(ranks), 2))
        axes.plot([low, high], [0, 0], color=INK, linewidth=0.8)
        for number, (name, place) in enumerate(ranks):
            left = number < rows
            row = depth + 0.8 * (number if left else len(ranks) - 1 - number)
            end = low - 0.15 if left else high + 0.15
            axes.plot([place, place, end], [0, row, row], color=INK, linewidth=0.7)
            axes.text(end, row, f" {short(name)} {place:.1f} ", ha="right" if left else "left", va="center")
        for number, (first, last) in enumerate(joined):
            height = 0.25 + 0.35 * number
            axes.plot([places[first] - 0.05, places[last] + 0.05], [height, height], color=COLOURS[0], linewidth=3)
        axes.plot([low, min(low + least, high)], [-0.8, -0.8], color=INK, linewidth=1.2)
        axes.text(low, -1.05, f"critical difference {least:.2f}", ha="left", va="bottom")
        wide = 0.45 * (high - low) + 0.3
        axes.set(xlim=(low - wide, high + wide), ylim=(depth + 0.8 * rows, -1.9), yticks=[])
        axes.xaxis.tick_top()
        axes.set_xticks(range(1, int(high) + 1))
        axes.spines[["left", "bottom", "top"]].set_visible(False)
        axes.grid(visible=False)
        return svg(figure)
