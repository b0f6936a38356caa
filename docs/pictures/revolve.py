"""docs/pictures/revolve.svg: the backward pass over 24 steps with 4 checkpoints.

It follows the schedule of `pullback.control.revolve`. Python docs/pictures/revolve.py
"""

from pathlib import Path

from pullback.control.revolve import advanced_steps, first_stretch

STEPS, SLOTS = 24, 4
X, Y = 24, 7


def schedule(start: int, steps: int, slots: int) -> list[tuple[str, int, int]]:
    """What is done, in order: ("advance", from, to), then ("reverse", i, i + 1)."""
    if steps == 1:
        return [("reverse", start, start + 1)]
    m = first_stretch(steps, slots)
    rest = schedule(start + m, steps - m, max(slots - 1, 1))
    return [("advance", start, start + m), *rest, *schedule(start, m, slots)]


def picture() -> str:
    """The schedule as SVG: steps to the right, time downward."""
    actions = schedule(0, STEPS, SLOTS)
    done = sum(b - a for kind, a, b in actions if kind == "advance")
    assert done == advanced_steps(STEPS, SLOTS)
    width, height = (STEPS + 2) * X, (len(actions) + 8) * Y
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{X}" y="16">{STEPS} steps with {SLOTS} checkpoints: {done} are done again '
        "(grey), each is reversed once (red); dots are kept states</text>",
    ]
    for row, (kind, a, b) in enumerate(actions):
        y, color = 30 + row * Y, "#999" if kind == "advance" else "#c33"
        ends = (a, b) if kind == "advance" else (b, a)
        x1, x2 = ((end + 1) * X for end in ends)
        lines.append(
            f'<line x1="{x1}" y1="{y}" x2="{x2}" y2="{y}" stroke="{color}" stroke-width="3"/>'
        )
        if kind == "advance":
            lines.append(f'<circle cx="{x1}" cy="{y}" r="3.2" fill="#226"/>')
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(picture())
