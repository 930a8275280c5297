"""pyhf workspaces of the kinds that other people publish, written for these tests."""

from typing import Any


def factor(name: str, kind: str = "normfactor") -> dict[str, Any]:
    return {"name": name, "type": kind, "data": None}


def norm(name: str, hi: float, lo: float) -> dict[str, Any]:
    return {"name": name, "type": "normsys", "data": {"hi": hi, "lo": lo}}


def histo(name: str, hi: list[float], lo: list[float]) -> dict[str, Any]:
    return {"name": name, "type": "histosys", "data": {"hi_data": hi, "lo_data": lo}}


def errors(name: str, kind: str, *data: float) -> dict[str, Any]:
    return {"name": name, "type": kind, "data": list(data)}


def sample(name: str, data: list[float], *modifiers: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "data": data, "modifiers": list(modifiers)}


def document(
    channels: dict[str, list[dict[str, Any]]],
    observed: dict[str, list[float]],
    *settings: dict[str, Any],
    poi: str = "mu",
) -> dict[str, Any]:
    return {
        "channels": [{"name": name, "samples": samples} for name, samples in channels.items()],
        "observations": [{"name": name, "data": data} for name, data in observed.items()],
        "measurements": [{"name": "measurement", "config": {"poi": poi, "parameters": list(settings)}}],
        "version": "1.0.0",
    }


LUMI = {"name": "lumi", "auxdata": [1.1], "sigmas": [0.03], "inits": [1.1], "bounds": [[0.5, 1.5]]}


def everything() -> dict[str, Any]:
    """Two channels, shared nuisances, every modifier, names that other formats refuse, bins that hold nothing."""
    signal = [
        sample("signal", [5.0, 6.0, 7.0], factor("mu"), factor("lumi", "lumi"), norm("sys a", 1.1, 0.8)),
        sample(
            "b/kg",
            [50.0, 40.0, 30.0],
            errors("stat", "staterror", 3.0, 2.0, 0.0),
            histo("sys a", [55.0, 41.0, 29.0], [48.0, 38.0, 33.0]),
            norm("sys a", 1.3, 0.9),
            histo("b", [51.0, 42.0, 33.0], [50.0, 39.0, 28.0]),
            factor("lumi", "lumi"),
        ),
        sample("rare", [10.0, 0.0, 5.0], errors("stat", "staterror", 1.0, 0.0, 0.0),
               errors("uncorrelated", "shapesys", 2.0, 1.0, 0.0)),
        sample("data driven", [1.0, 1.0, 1.0], factor("shape", "shapefactor")),
    ]  # fmt: skip
    control = [
        sample(
            "b/kg",
            [100.0, 90.0, 80.0],
            errors("stat CR", "staterror", 5.0, 4.0, 3.0),
            norm("sys a", 1.2, 0.85),
            histo("b", [105.0, 91.0, 79.0], [98.0, 88.0, 83.0]),
            factor("b_norm"),
            factor("b_norm"),
        ),
        sample("data driven", [10.0, 11.0, 12.0], factor("shape", "shapefactor")),
    ]
    settings = [
        LUMI,
        {"name": "b", "auxdata": [0.5], "inits": [0.5]},
        {"name": "mu", "inits": [0.7], "bounds": [[-5.0, 20.0]]},
        {"name": "stat CR", "bounds": [[0.1, 5.0]] * 3},
    ]
    return document({"SR-1": signal, "CR": control}, {"SR-1": [73.0, 51.0, 41.0], "CR": [112.0, 98.0, 97.0]}, *settings)


def uncorrelated() -> dict[str, Any]:
    """The textbook's first: a signal, and a background with an error in each bin."""
    return document(
        {
            "single": [
                sample("signal", [12.0, 11.0], factor("mu")),
                sample("background", [50.0, 52.0], errors("uncorr_bkguncrt", "shapesys", 3.0, 7.0)),
            ]
        },
        {"single": [51.0, 48.0]},
    )


def correlated() -> dict[str, Any]:
    """The textbook's second: one shape of the background, two channels, the second as a control."""
    return document(
        {
            "search": [
                sample("signal", [5.0, 10.0], factor("mu")),
                sample("background", [50.0, 60.0], histo("tilt", [42.0, 72.0], [58.0, 49.0]), norm("size", 1.2, 0.9)),
            ],
            "control": [sample("background", [100.0], norm("size", 1.15, 0.87), factor("b"))],
        },
        {"search": [55.0, 71.0], "control": [108.0]},
        {"name": "size", "fixed": False, "bounds": [[-3.0, 3.0]]},
    )


def statistics_in_two_channels() -> dict[str, Any]:
    """One staterror name in two channels, several samples in each: the errors stay apart."""

    def samples(scale: float) -> list[dict[str, Any]]:
        return [
            sample("signal", [2 * scale, 3 * scale], factor("mu"), errors("mc", "staterror", 0.3, 0.2)),
            sample("background", [20 * scale, 30 * scale], errors("mc", "staterror", 2.0, 3.0)),
        ]

    return document({"one": samples(1.0), "two": samples(2.0)}, {"one": [24.0, 31.0], "two": [41.0, 70.0]})


def fixed() -> dict[str, Any]:
    """Settings that hold parameters: a factor, a nuisance and the factors of bins."""
    samples = [
        sample("signal", [12.0, 11.0], factor("mu"), factor("k")),
        sample("background", [50.0, 52.0], norm("size", 1.2, 0.9), errors("mc", "staterror", 3.0, 4.0)),
    ]
    return document(
        {"single": samples},
        {"single": [51.0, 48.0]},
        {"name": "k", "inits": [1.3], "fixed": True},
        {"name": "size", "inits": [0.4], "fixed": True},
        {"name": "mc", "fixed": True},
    )


EXAMPLES = {f.__name__: f() for f in (everything, uncorrelated, correlated, statistics_in_two_channels, fixed)}
