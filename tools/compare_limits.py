"""Two results of the main job side by side, as tables in Markdown: ``python tools/compare_limits.py BEFORE NOW``.

BEFORE, NOW : folders that ``nuemstat limits`` wrote, or their limits.json.
"""

import json
import sys
from pathlib import Path
from typing import Any

from nuemstat.vocabulary import COUPLINGS, UNIVERSAL

Limits = dict[tuple[str, str], dict[str, Any]]


def read(place: str) -> Limits:
    """Limits by coupling and experiment; ``joint`` is the fit of all."""
    path = Path(place)
    content = json.loads((path / "limits.json" if path.is_dir() else path).read_text())
    return {(e["coupling"], e["workspaces"][0] if len(e["workspaces"]) == 1 else "joint"): e for e in content}


def scale(coupling: str) -> float:
    """Of the coupling's unit in workspaces."""
    return COUPLINGS[UNIVERSAL.get(coupling, (coupling,))[0]].scale


def ends(entry: dict[str, Any], pairs: list[list[float | None]]) -> str:
    """A set in units of the coupling's scale, the upper end alone where it begins at 0."""
    size = scale(entry["coupling"])
    text = [["open" if end is None else f"{end / size:.3g}" for end in pair] for pair in pairs]
    if len(pairs) == 1 and pairs[0][0] == 0:
        return f"< {text[0][1]}"
    return " u ".join(f"[{low}, {high}]" for low, high in text) or "empty"


def row(entry: dict[str, Any] | None) -> tuple[str, str, str]:
    """Observed, expected and z of one limit."""
    if entry is None:
        return "", "", ""
    known = entry.get("expected") or {}
    middle, z = known.get("median") or known.get("asimov"), known.get("z")
    expected = "" if middle is None else ends(entry, [[middle["lower"], middle["upper"]]])
    return ends(entry, entry["intervals"]), expected, "" if z is None else f"{z:+.2f}"


def table(before: Limits, now: Limits, keys: list[tuple[str, str]], name: int) -> list[str]:
    """One line for each key; name : which part of the key is the first column."""
    head = ("coupling", "experiment")[name]
    lines = [
        f"| {head} | 0.1: observed | expected | z | now: observed | expected | z |",
        "|---|---|---|---|---|---|---|",
    ]
    for key in keys:
        cells = (f"`{key[name]}`", *row(before.get(key)), *row(now.get(key)))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Print the joint limits, then those of each experiment on the universal couplings."""
    before, now = (read(place) for place in sys.argv[1:3])
    lines = ["## Joint fit", "", "Moments in 1e-11 mu_B, charges in 1e-12 e, radii in 1e-32 cm^2.", ""]
    lines += table(before, now, [key for key in now if key[1] == "joint"], 0)
    for coupling in UNIVERSAL:
        lines += ["", f"## `{coupling}`, each experiment", ""]
        lines += table(before, now, [key for key in now if key[0] == coupling], 1)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
