"""The same numbers wherever toys are thrown, and nothing lost when a run is cut short."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from test_toys import double_well

from nuemstat.errors import FitError
from nuemstat.stats.checkpoint import Checkpoint, merge_checkpoints
from nuemstat.stats.execution import Interrupted, Plan, Runner, Task, open_executor
from nuemstat.stats.intervals import limit

SMALL = {"method": "fc", "toys": 100, "seed": 3}
RANGE = (-0.2e-32, 0.45e-32)


def small(**options):
    return limit(double_well(), "charge_radius_ee", scan_range=RANGE, **SMALL, **options)


def exactly(found):
    return found.to_json()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The result of an undisturbed run, and the lines of its checkpoint."""
    path = tmp_path_factory.mktemp("run") / "toys.jsonl"
    return small(checkpoint=path), path.read_text().splitlines(keepends=True)


@pytest.fixture
def serial(run):
    return run[0]


@pytest.fixture
def lines(run):
    return run[1]


def test_threads_and_any_order_of_completion_give_the_same(serial):
    """A standard executor that is nobody's own, finishing late tasks first."""

    class Backwards(ThreadPoolExecutor):
        def submit(self, function, /, *arguments):
            answer = Future()

            def later():
                time.sleep(0.02 * (5 - arguments[1].number % 5))
                answer.set_result(function(*arguments))

            super().submit(later)
            return answer

    with Backwards(1) as executor:
        assert exactly(small(executor=executor)) == exactly(serial)


@pytest.mark.slow
def test_processes_give_the_same(serial):
    with open_executor("processes", workers=2) as executor:
        assert exactly(small(executor=executor)) == exactly(serial)


def test_resuming_gives_the_same(serial, lines, tmp_path):
    """With and without a checkpoint, from finished tasks, from a line cut short; the file then holds each task once."""
    path = tmp_path / "toys.jsonl"
    assert exactly(small()) == exactly(serial)
    assert len(lines) - 1 == serial.toys // 100
    path.write_text("".join([lines[0], *lines[7:], lines[1][:20]]))
    assert exactly(small(checkpoint=path)) == exactly(serial)
    assert sorted(path.read_text().splitlines(keepends=True)) == sorted(lines)


def test_finished_tasks_are_not_done_again(serial, lines, tmp_path, monkeypatch):
    path = tmp_path / "toys.jsonl"
    path.write_text("".join(lines))

    def never(*_):
        raise AssertionError("a task that was finished runs again")

    monkeypatch.setattr("nuemstat.stats.methods.throw", never)
    assert exactly(small(checkpoint=path)) == exactly(serial)


def test_halves_of_a_run_merge_to_the_whole(serial, lines, tmp_path):
    parts = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    head, *lines = lines
    parts[0].write_text(head + "".join(lines[::2]))
    parts[1].write_text(head + "".join([*lines[1::2], lines[0]]))
    assert merge_checkpoints(parts, tmp_path / "all.jsonl") == len(lines)
    assert exactly(small(checkpoint=tmp_path / "all.jsonl")) == exactly(serial)
    changed = json.loads(lines[0])
    changed["outcome"]["beyond"] += 1
    parts[1].write_text(head + json.dumps(changed) + "\n")
    with pytest.raises(FitError, match=r"b\.jsonl: task .* has another outcome"):
        merge_checkpoints(parts, tmp_path / "all.jsonl")


def test_a_checkpoint_of_something_else_is_refused_in_one_line(tmp_path):
    path = tmp_path / "toys.jsonl"
    Checkpoint(path, {"digest": "sha256:other", "coupling": "charge_radius_ee"})
    of_another = r"toys\.jsonl: the checkpoint is of another workspace: digest: found 'sha256:other'"
    with pytest.raises(FitError, match=of_another) as error:
        small(checkpoint=path)
    assert "\n" not in str(error.value)
    path.unlink()
    Checkpoint(path, {"digest": double_well().digest, "question": "limit", "coupling": "millicharge_ee"})
    with pytest.raises(FitError, match="of another question: coupling: found 'millicharge_ee'"):
        small(checkpoint=path)
    other = tmp_path / "limits.json"
    other.write_text('{"schema": "nuemstat/limit/1",\n "no": "end"')
    with pytest.raises(FitError, match="line 1 is damaged"):
        small(checkpoint=other)
    assert other.read_text().endswith('"end"')
    with pytest.raises(FitError, match="cannot be written"):
        small(checkpoint=tmp_path / "nowhere" / "toys.jsonl")


def test_an_interrupt_keeps_what_is_finished_and_says_how_to_go_on(serial, tmp_path):
    path, done = tmp_path / "toys.jsonl", []

    def stop(number, *_):
        done.append(number)
        if number == 5:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"interrupted; 5 finished tasks are kept in .*; the same command resumes"):
        small(checkpoint=path, progress=stop)
    assert exactly(small(checkpoint=path)) == exactly(serial)
    with pytest.raises(Interrupted, match="nothing is kept without a checkpoint"):
        small(progress=stop if not done.clear() else None)


def fails(_, task):
    """Work that kills its worker."""
    if task.number == 1:
        os._exit(3)
    return {"toys": 1}


@pytest.mark.slow
def test_a_dead_worker_process_is_one_line(tmp_path):
    tasks = [Task("fc", 0.0, n, (), 0.0, 0) for n in range(2)]
    with open_executor("processes", workers=1) as executor:
        runner = Runner(fails, b"", Plan(executor=executor, checkpoint=tmp_path / "c.jsonl"), {"digest": "d"})
        with pytest.raises(FitError, match=r"workers were lost \(BrokenProcessPool.*kept in .*; the same command"):
            runner(tasks, lambda *_: None, "")


def test_executors_that_cannot_be_had_are_told():
    for kind, scheduler, text in (
        ("mpi", None, "executor: found 'mpi'; allowed are local, processes, dask"),
        ("processes", "tcp://a:1", "scheduler: found 'tcp://a:1' with executor 'processes'"),
    ):
        with pytest.raises(FitError, match=text), open_executor(kind, scheduler=scheduler):
            pass


def test_without_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(FitError, match=r"dask is not installed; pip install 'nuemstat\[dask\]'"), open_executor("dask"):
        pass


QUIET = pytest.mark.filterwarnings("ignore")  # of dask's own threads and sockets


@QUIET
def test_an_unreachable_scheduler_is_one_line(monkeypatch):
    pytest.importorskip("distributed", reason="dask is not installed")
    monkeypatch.setattr("nuemstat.stats.execution._PATIENCE", 0.5)
    for address in ("tcp://127.0.0.1:1", "nowhere"):
        with (
            pytest.raises(FitError, match=f"dask scheduler {address}: it cannot be reached"),
            open_executor("dask", scheduler=address),
        ):
            pass


@QUIET
@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_gives_the_same(serial, tmp_path):
    """Two workers, one killed after some tasks are done; every toy is counted once."""
    distributed = pytest.importorskip("distributed", reason="dask is not installed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        killed = []

        def kill(done, *_):
            if done == 3 and not killed:
                victim = next(iter(client.run(os.getpid).values()))
                killed.append(victim)
                os.kill(victim, signal.SIGKILL)

        path = tmp_path / "toys.jsonl"
        found = small(executor=client.get_executor(pure=False, retries=3), progress=kill, checkpoint=path)
        assert killed
    assert exactly(found) == exactly(serial)
    assert len(path.read_text().splitlines()) - 1 == serial.toys // 100


@pytest.mark.slow
def test_the_command_line_resumes_after_an_interrupt(tmp_path):
    """Ctrl-C in mid-run: one line, code 130; the same command then gives what an undisturbed one gives."""
    workspace, path = tmp_path / "toy.json", tmp_path / "toys.jsonl"
    double_well().write(workspace)
    command = [sys.executable, "-m", "nuemstat", "limit", str(workspace), "--coupling", "charge_radius_ee", "--json",
               "--method", "fc", "--toys", "200", "--range", "charge_radius_ee", "-2e-33", "5e-33"]  # fmt: skip
    environment = os.environ | {"NUEMSTAT_CACHE": str(tmp_path / "cache")}
    stopped = [*command, "--checkpoint", str(path), "--executor", "processes", "--workers", "2"]
    run = subprocess.Popen(stopped, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    watch = threading.Timer(60, run.kill)
    watch.start()
    while run.poll() is None and (not path.exists() or path.read_text().count("\n") < 4):
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    output, errors = run.communicate()
    watch.cancel()
    assert run.returncode == 130
    assert output == ""
    assert errors.count("\n") == 1
    assert "finished tasks are kept in" in errors
    assert "the same command resumes" in errors
    options = {"capture_output": True, "text": True, "env": environment, "check": True}
    resumed, plain = (subprocess.run(c, **options) for c in (stopped, command))
    assert resumed.stdout == plain.stdout
    assert list((tmp_path / "cache" / "toys").iterdir()) == []
