"""Finds and reads model files: ``load_model("lz_sr1:epa,paper")``."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nuemstat.errors import ModelError, suggestion
from nuemstat.model import variants
from nuemstat.model.changes import Change, Value, changed, of_measurement
from nuemstat.model.overlays import Overlays
from nuemstat.model.schema import SCHEMA, ModelDocument
from nuemstat.notebook import AsHtml
from nuemstat.resources import models_folder, release_folder
from nuemstat.strict import one_line, tupled
from nuemstat.tables import Table, read_table
from nuemstat.vocabulary import COUPLINGS

_SOURCE_FLAVOURS = {"solar": {"e", "mu", "tau"}, "reactor": {"e"}, "pion_decay": {"e", "mu"}}


class ModelFiles:
    """The tables beside a model file, read once each, and what else the model takes from files.

    elsewhere : something was read that is not in the folder of the model.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.elsewhere = False
        self._tables: dict[str, Table] = {}
        self._others: dict[str, str] = {}

    def table(self, name: str) -> Table:
        """One table of the folder, or MODEL/TABLE of another shipped model."""
        if name not in self._tables:
            self._tables[name] = read_table(self._path(name))
        return self._tables[name]

    def _path(self, name: str) -> Path:
        own, shipped = self.folder / name, models_folder() / name
        return shipped if "/" in name and not own.is_file() and shipped.is_file() else own

    def response(self, name: str) -> Path:
        """The path of a supplied response of the folder, which then counts as read."""
        self._others[name] = self.digest(name)
        return self.folder / name

    def release(self, name: str, where: str) -> "ModelFiles":
        """The files of a data release that the user has; see `nuemstat.resources.release_folder`."""
        self.elsewhere = True
        return ModelFiles(release_folder(name, where))

    def digest(self, name: str) -> str:
        """sha256 of such a table or a file of the folder as it is now; '' for one that cannot be read."""
        try:
            return hashlib.sha256(self._path(name).read_bytes()).hexdigest()
        except OSError:
            return ""

    @property
    def digests(self) -> dict[str, str]:
        """sha256 of every table and response read so far."""
        found = {name: table.digest for name, table in self._tables.items()} | self._others
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=False, repr=False)
class Model(AsHtml):
    """An experiment with its variants chosen.

    raw : the file's content with the overlays and changes applied; variants : option of each group; groups : all
    options; warnings : what a reader of the result must know of the choice of variants;
    unchanged : the content before any number was set, None where none was; changes : what was set by hand, and
    `given` all paths that were set, those of variants included.
    """

    path: Path
    raw: Mapping[str, Any]
    variants: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]]
    digest: str
    files: ModelFiles = field(repr=False, compare=False)
    warnings: tuple[str, ...] = ()
    unchanged: Mapping[str, Any] | None = field(default=None, repr=False)
    changes: tuple[Change, ...] = ()
    given: frozenset[str] = frozenset()

    def __str__(self) -> str:
        chosen = {group: f"{option} (of {', '.join(self.groups[group])})" for group, option in self.variants.items()}
        kinds: dict[str, list[str]] = {}
        for name in self.couplings:
            kind, _, flavours = name.rpartition("_")
            kinds.setdefault(kind, []).append(flavours)
        rows = {
            "title": self.title,
            "experiment": f"{self.experiment}, {self.kind}",
            "data sets": ", ".join(self.datasets),
            **{f"variant {group}": text for group, text in chosen.items()},
            "set by hand": "; ".join(str(change) for change in self.changes),
            **{kind: " ".join(flavours) for kind, flavours in kinds.items()},
            "references": ", ".join(self.references),
        }
        width = max(len(key) for key in rows)
        return "\n".join([f"model {self.name}", *(f"  {key:{width}}  {text}" for key, text in rows.items() if text)])

    def __repr__(self) -> str:
        options = ",".join(self.variants.values())
        return f"<model {self.name}{':' if options else ''}{options}, {self.path}>"

    def replace(self, changes: Mapping[str, Value]) -> "Model":
        """This model with numbers and words set by their path: ``{"target.exposure": "20 t yr"}``.

        Paths and values are those of `nuemstat.model.changes`. What depends on a number follows it; a number that is
        set itself is as it was set, in whatever order. A value that stands there already changes nothing.

        Raises
        ------
        ModelError : a path that is not in the model, a value that does not fit, counts that do not say what they follow
            where the size of the experiment is changed.
        """
        return _replaced(self, changes, by_hand=True)

    @property
    def another_experiment(self) -> tuple[Change, ...]:
        """The changes that observed counts depend on: another exposure has other counts."""
        return of_measurement(self.changes)

    @cached_property
    def document(self) -> ModelDocument:
        """The checked document."""
        return validated(self.raw, self.path)

    @property
    def name(self) -> str:
        """Name of the model, without variants."""
        return self.document.name

    @property
    def title(self) -> str:
        """What it is, in a line."""
        return self.document.title

    @property
    def experiment(self) -> str:
        """The experiment as papers call it."""
        return self.document.experiment

    @property
    def kind(self) -> str:
        """data, measurement (one published number) or sensitivity."""
        return self.document.kind

    @property
    def has_data(self) -> bool:
        """Whether something was observed, a spectrum or one number, and the model is of no sensitivity alone."""
        return self.kind != "sensitivity"

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets it uses."""
        return self.document.datasets

    @property
    def references(self) -> tuple[str, ...]:
        """The publications it follows."""
        return self.document.references

    @property
    def couplings(self) -> tuple[str, ...]:
        """The couplings that its source's flavours can show."""
        flavours = _SOURCE_FLAVOURS[self.document.source.type]
        return tuple(c.name for c in COUPLINGS.values() if flavours & set(c.flavours))


def shipped_models() -> tuple[str, ...]:
    """Names of the models in this installation, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in models_folder().glob("*/model.yaml")))


def load_model(spec: str, *, changes: Mapping[str, Value] | None = None) -> Model:
    """Read a shipped model, or a model file by its path; variants follow a colon.

    changes : numbers and words to be set in the model with its variants, by their path; see `Model.replace`.

    Raises
    ------
    ModelError : no such model or variant, a file that does not fit the vocabulary, a change that does not fit.
    """
    head, _, tail = spec.partition(":")
    options = [option.strip() for option in tail.split(",") if option.strip()]
    path = _model_path(head)
    raw, digest = read_yaml(path)
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        found = raw.get("schema") if isinstance(raw, dict) else type(raw).__name__
        raise ModelError(f"{path}: schema: found {found!r}; this version reads {SCHEMA!r}")
    base = validated(raw, path)
    overlays = Overlays(str(path), raw)
    overlays.check()
    chosen = variants.choose(base.name, overlays, options)
    notes = variants.remarks(base.name, overlays, chosen)
    model = variants.apply(raw, chosen)
    found = Model(path, model, chosen, overlays.groups, digest, ModelFiles(path.parent), notes)
    for group in overlays.sequence:
        found = _replaced(found, overlays.changes(group, chosen[group]), by_hand=False)
    return found.replace(changes or {})


def _replaced(model: Model, changes: Mapping[str, Value], *, by_hand: bool) -> Model:
    """A model with numbers set; by_hand : its reader is told, which what a variant sets needs not."""
    if not changes:
        return model
    raw, made = changed(model.unchanged or model.raw, model.raw, model.path, changes, model.given, validate=validated)
    if not made:
        return model
    earlier = {change.path: change for change in model.changes}
    made = tuple(replace(c, old=earlier.pop(c.path).old) if c.path in earlier else c for c in made)
    return replace(
        model,
        raw=raw,
        unchanged=model.unchanged or model.raw,
        changes=(*earlier.values(), *(made if by_hand else ())),
        given=model.given | {change.path for change in made},
        files=ModelFiles(model.path.parent),
    )


def validated(raw: Mapping[str, Any], path: Path) -> ModelDocument:
    """The checked document of a raw model; a ModelError names file, key, what was found and what is allowed."""
    try:
        return ModelDocument.model_validate(tupled(raw))
    except ValidationError as error:
        raise ModelError(f"{path}: {one_line(error)}") from None


def _model_path(head: str) -> Path:
    path = Path(head)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    if (path / "model.yaml").is_file():
        return path / "model.yaml"
    known = shipped_models()
    if head not in known:
        raise ModelError(f"no model {head!r}; shipped are {', '.join(known)}{suggestion(head, list(known))}")
    return models_folder() / head / "model.yaml"


class _Loader(yaml.SafeLoader):
    """YAML as its version 1.2 reads it: only true and false are booleans, 1e-3 is a number, keys are unique."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if not tag.endswith((":bool", ":float", ":timestamp"))]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?$|^[-+]?\.inf$|^\.nan$"),
    list("-+.0123456789"),
)


def read_yaml(path: Path) -> tuple[Any, str]:
    """The content of a YAML file, and the sha256 of its bytes.

    Raises
    ------
    ModelError : unreadable, not YAML, or a key that stands twice.
    """

    try:
        raw = path.read_bytes()
        return yaml.load(raw, Loader=_Loader), hashlib.sha256(raw).hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise ModelError(f"{path}{line}: not YAML ({getattr(error, 'problem', error)})") from None
