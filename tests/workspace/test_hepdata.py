import hashlib
import subprocess
import sys

import pytest
import yaml
from interop_workspaces import gaussian, joint

from nuemstat import study
from nuemstat.errors import WorkspaceError
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.hepdata import read_bundle, write_bundle

pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # in pyhf


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(joint(), tmp_path_factory.mktemp("hepdata") / "toy")


@pytest.fixture
def copy(bundle, tmp_path):
    """A copy that may be damaged."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in bundle.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_what_is_written_is_read_back_and_fitted(bundle):
    assert read_bundle(bundle) == joint()
    assert study.resolve(str(bundle)) == joint()


def test_gaussian_channels_too(tmp_path):
    assert read_bundle(write_bundle(gaussian(), tmp_path / "toy")) == gaussian()
    table = yaml.safe_load((tmp_path / "toy" / "table_1.yaml").read_text())
    (observed, _) = table["dependent_variables"]
    assert observed["values"][1]["errors"][0]["symerror"] == pytest.approx(1.2)


def test_the_submission_names_every_file(bundle):
    head, *tables = yaml.safe_load_all((bundle / "submission.yaml").read_text())
    named = {resource["location"] for resource in head["additional_resources"]} | {t["data_file"] for t in tables}
    assert named | {"submission.yaml"} == {path.name for path in bundle.iterdir()}
    plane = yaml.safe_load((bundle / tables[1]["data_file"]).read_text())
    assert [v["header"]["name"] for v in plane["independent_variables"]] == ["energy", "time"]
    assert [v["value"] for v in plane["dependent_variables"][0]["values"]] == [14, 11, 12, 10]


def test_hepdata_accepts_it(bundle):
    """In a process of its own, as it leaves files open."""
    pytest.importorskip("hepdata_validator", reason="hepdata-validator is not installed (nuemstat[interop])")
    program = "import sys; from hepdata_validator.full_submission_validator import FullSubmissionValidator as Judge; "
    program += "judge = Judge(); valid = judge.validate(directory=sys.argv[1]); judge.print_errors(sys.argv[1]); "
    command = [sys.executable, "-c", program + "sys.exit(not valid)", str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def rewritten(folder, name, change) -> None:
    """Change a file and its checksum."""
    path = folder / name
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text(change(path.read_text()))
    new = hashlib.sha256(path.read_bytes()).hexdigest()
    sums = folder / "checksums.txt"
    sums.write_text(sums.read_text().replace(old, new))


def test_a_changed_file_is_refused(copy):
    (copy / "README.md").write_text("other")
    with pytest.raises(WorkspaceError, match=r"README\.md: was changed since checksums\.txt was written"):
        read_bundle(copy)


def test_a_missing_file_is_named(copy):
    (copy / "toy.pyhf.json").unlink()
    with pytest.raises(WorkspaceError, match=r"toy\.pyhf\.json: is missing"):
        read_bundle(copy)


def test_check_points_of_the_native_form_must_hold(copy):
    def change(text):
        head, tail = text.split('"native":', 1)
        return f'{head}"native":1{tail}'

    rewritten(copy, "toy.checkpoints.json", change)
    with pytest.raises(WorkspaceError, match=r"points\.0: 2 NLL is .* above the reference; 1.* is expected"):
        read_bundle(copy)


def test_check_points_of_the_pyhf_form_must_hold(copy):
    rewritten(copy, "toy.pyhf.json", lambda text: text.replace("46.0", "47.0", 1).replace("46,", "47,", 1))
    with pytest.raises(WorkspaceError, match=r"toy\.pyhf\.json: at check point 0 2 NLL is"):
        read_bundle(copy)


def test_check_points_of_the_hs3_form_must_hold(copy):
    rewritten(copy, "toy.checkpoints.json", lambda text: text.replace('"hs3":', '"hs3":1', 1))
    with pytest.raises(WorkspaceError, match=r"at check point 0 of the HS3 form 2 NLL is .*; 1.* is expected"):
        read_bundle(copy)


def test_a_path_in_the_checksums_is_refused(copy):
    (copy / "checksums.txt").write_text("0" * 64 + "  ../other\n")
    with pytest.raises(WorkspaceError, match="two blanks and a name are allowed"):
        read_bundle(copy)


def test_nothing_is_overwritten_unasked(bundle, tmp_path):
    with pytest.raises(WorkspaceError, match="is there already; it is kept unless --force"):
        write_bundle(gaussian(), bundle)
    assert Workspace.read(bundle / "toy.json") == joint()
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(WorkspaceError, match="found other things"):
        write_bundle(gaussian(), tmp_path, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
