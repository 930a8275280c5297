"""No result depends on the base units: a fresh interpreter with other ones gives the same pure numbers."""

import json
import subprocess
import sys

import numpy as np
import pytest

# Rewrites the four base values while `nuemstat.units` is imported, so that whatever imports it sees the same ones.
RESCALED = """
import importlib.abc, importlib.machinery, json, re, sys

BASE = json.loads(sys.argv[1])


class Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        source = self.get_data(self.path).decode()
        for name, value in BASE.items():
            source, found = re.subn(rf"^{name}: Final = 1\\.0$", f"{name}: Final = {value!r}", source, flags=re.M)
            assert found == 1, name
        return compile(source, self.path, "exec")


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname != "nuemstat.units":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        spec.loader = Loader(fullname, spec.origin)
        return spec


sys.meta_path.insert(0, Finder())
from nuemstat import units
assert all(getattr(units, name) == value for name, value in BASE.items())
"""

# Each case is a program that leaves pure numbers in the dictionary `result`.
CASES = {
    "physics": """
import numpy as np
from nuemstat.physics import cevns, electron
from nuemstat.physics.atom import atom
from nuemstat.physics.couplings import scheme
from nuemstat.physics.flux import Flux
from nuemstat.physics.media import choose_medium, medium
from nuemstat.physics.nucleus import FORM_FACTORS, isotopes, molar_mass
from nuemstat.polynomial import monomial_name

nodes = np.array([0.0, 0.3, 2.0, 9.0]) * units.MeV
density = np.array([0.0, 4.0, 2.0, 0.0]) * 1e12 / units.MeV / units.cm**2 / units.s
flux = Flux(nodes, density) + Flux.line(0.862 * units.MeV, 3e12 / units.cm**2 / units.s)
recoil = np.geomspace(1e-3, 3e2, 25) * units.keV
result = {}


def keep(key, element, polynomial):
    per_atom = 1 / units.day / units.keV  # events per kg, day and keV
    number = units.kg / (molar_mass(element) * units.MOLAR_GRAM)
    for term, values in polynomial:
        result[f"{key} {monomial_name(term)}"] = (values * number / per_atom).tolist()


for element in ("Ge", "Cs", "Ar", "Xe"):
    for form_factor in FORM_FACTORS:
        rate = cevns.rate(recoil, flux, flavour="e", antineutrino=True, nucleus=isotopes(element)[0][0],
                          scheme=scheme(), form_factor=form_factor)
        keep(f"cevns {element} {form_factor}", element, rate)
    for approximation in electron.APPROXIMATIONS:
        rate = electron.rate(recoil, flux, flavour="mu", antineutrino=False, atom=atom(element), scheme=scheme(),
                             approximation=approximation, neutrino_mass=0.45 * units.eV)
        keep(f"electron {element} {approximation}", element, rate)
    if element != "Cs":
        matter = medium({element: 1}, choose_medium({element: 1}, None, None))
        keep(f"medium {element}", element, electron.charge_rate(recoil, flux, flavour="mu", medium=matter))
""",
    "models": """
import os
os.environ["NUEMSTAT_CACHE"] = "off"
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model, shipped_models

result = {}
for name in NAMES or shipped_models():
    for channel in compile_model(load_model(name), progress=None).channels:
        result[f"{channel.name} observed"] = list(channel.observed)
        for axis in channel.axes:
            result[f"{channel.name} {axis.name}"] = list(axis.edges)
        for sample in channel.samples:
            result[f"{channel.name} {sample.name}"] = list(sample.contents)
            for modifier in sample.modifiers:
                if modifier.type == "shape" and modifier.interpolation == "multiplicative":
                    for anchor in modifier.anchors:
                        key = f"{channel.name} {sample.name} {modifier.parameter} {anchor.alpha}"
                        result[key] = list(anchor.values)
""",
}
CASES["all models"] = CASES["models"].replace("NAMES", "()")
# Each of them has sources, responses, backgrounds or units that no other has.
CASES["models"] = CASES["models"].replace(
    "NAMES",
    """(
    "borexino_phase2", "coherent_ge", "conus_plus", "dresden2", "lz_er2025", "rovno", "xenon1t_s2only", "xenonnt_b8",
)""",
)
# Relative, and absolute in units of the largest number; workspaces carry nine digits.
PRECISION = {"physics": (1e-9, 1e-12), "models": (1e-7, 1e-9), "all models": (1e-7, 1e-9)}
MARKS = {"physics": (), "models": (pytest.mark.slow,), "all models": (pytest.mark.full,)}
BASES = {"MeV": 3.7, "cm": 0.013, "s": 41.0, "kg": 0.059}


def run(case: str, base: dict[str, float]) -> dict[str, list[float]]:
    program = RESCALED + CASES[case] + "\njson.dump(result, sys.stdout)\n"
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(base)], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("case", [pytest.param(case, marks=marks) for case, marks in MARKS.items()])
def test_results_do_not_depend_on_the_base_units(case: str) -> None:
    expected = run(case, dict.fromkeys(BASES, 1.0))
    found = run(case, BASES)
    assert set(found) == set(expected)
    assert expected
    for key, values in expected.items():
        scale = np.max(np.abs(values))
        relative, floor = PRECISION[case]
        np.testing.assert_allclose(found[key], values, rtol=relative, atol=floor * scale, err_msg=key)
        assert scale > 0, key
