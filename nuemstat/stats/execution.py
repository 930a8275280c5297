"""Where tasks run: here, in worker processes, or on a dask cluster; the numbers are the same everywhere.

A task is a few hundred toys with seeds of their own, so it does not matter who runs it, when, or how often. What
every task needs (the workspace) travels beside it as bytes, which each worker opens once.
"""

import gc
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from concurrent.futures.process import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from nuemstat.errors import FitError
from nuemstat.stats.checkpoint import Checkpoint, Outcome

Kind = Literal["local", "processes", "dask"]
KINDS: tuple[Kind, ...] = ("local", "processes", "dask")
_WINDOW = 256
"""Tasks handed out before the first of them is back."""
_PATIENCE = 10
"""Seconds to wait for a scheduler."""

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what was done last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How toys are thrown.

    toys : at each value near the threshold, None for the method's own choice; seed : of all of them;
    executor : where they are thrown, here when None; checkpoint : file of finished tasks, to resume from.
    """

    toys: int | None = None
    seed: int = 0
    executor: Executor | None = None
    checkpoint: Path | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.toys is not None and self.toys < 0:
            raise FitError(f"toys: found {self.toys}; 0 or more are allowed")
        if self.seed < 0:
            raise FitError(f"seed: found {self.seed}; 0 or more is allowed")
        if self.executor is not None and not isinstance(self.executor, Executor):
            raise FitError(f"executor: found {type(self.executor).__name__}; a concurrent.futures.Executor is allowed")


@dataclass(frozen=True, slots=True)
class Piece:
    """An interval of a set, in workspace units, with the errors of its ends; an open end is None."""

    low: float | None
    high: float | None
    low_error: float = 0.0
    high_error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What data without new physics would give.

    bands : method, and ends in physical units, as in `Limit.expected`; quantile : how many standard deviations an
    observed largest |value| (workspace units) lies above the middle, None where nothing is known of the spread.
    """

    bands: Mapping[str, Any]
    quantile: Callable[[float], float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aware:
    """The set with critical values that know of the coupling's bound, and these along the coupling."""

    pieces: tuple[Piece, ...]
    threshold: Callable[[float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The set that a method gives, what is expected of it, and the fields of a `Limit` that only this method has.

    notes : warnings that do not touch the set.
    """

    pieces: tuple[Piece, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    expected: Expectation | None = None
    aware: Aware | None = None
    notes: tuple[str, ...] = ()


class Interrupted(KeyboardInterrupt):
    """An interrupt from the keyboard, with a line on what is kept and how to go on."""


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work that a worker can do on its own.

    kind : what is done; value : the coupling's value (workspace units) that is tested; number : which part of it;
    truth : all parameters the toys are thrown at; observed : the statistic of the data; seed : of the whole run.
    """

    kind: str
    value: float
    number: int
    truth: tuple[float, ...]
    observed: float
    seed: int

    @property
    def key(self) -> str:
        """What a checkpoint calls it."""
        return f"{self.kind} {self.value!r} {self.number}"


Work = Callable[[bytes, Task], Outcome]
"""A function of a module, so that workers find it: the common bytes and a task give numbers."""


class Runner:
    """Runs the tasks of one question, each once: those that a checkpoint holds are only read."""

    def __init__(self, work: Work, common: bytes, plan: Plan, header: dict[str, Any]) -> None:
        self.work, self.common, self.plan = work, common, plan
        self._checkpoint = Checkpoint(plan.checkpoint, header)
        self._done = self._known = 0

    def __call__(self, tasks: Sequence[Task], merge: Callable[[Task, Outcome], None], text: str) -> None:
        """Hand the outcome of every task to `merge`, in any order.

        Raises
        ------
        FitError : a task fails, or workers are lost for good; Interrupted : from the keyboard.
        """
        self._known += len(tasks)
        waiting = []
        for task in tasks:
            kept = self._checkpoint.kept(task.key)
            if kept is None:
                waiting.append(task)
            else:
                self._count(task, kept, merge, text)

        def finished(task: Task, outcome: Outcome) -> None:
            self._checkpoint.add(task.key, outcome)
            self._count(task, outcome, merge, text)

        try:
            if self.plan.executor is None:
                for task in waiting:
                    finished(task, self.work(self.common, task))
            else:
                _distribute(self.plan.executor, self.work, self.common, waiting, finished)
        except KeyboardInterrupt:
            raise Interrupted(self._checkpoint.how_to_resume("interrupted")) from None
        except (BrokenExecutor, CancelledError, ImportError) as error:
            raise self._lost(error) from None
        except Exception as error:
            if type(error).__module__.startswith("distributed"):
                raise self._lost(error) from None
            raise

    def _lost(self, error: Exception) -> FitError:
        """Workers died, or cannot work; what is finished is kept."""
        reason = " ".join(f"workers were lost ({type(error).__name__}: {error}".split())[:160]
        return FitError(self._checkpoint.how_to_resume(f"{reason})"))

    def _count(self, task: Task, outcome: Outcome, merge: Callable[[Task, Outcome], None], text: str) -> None:
        merge(task, outcome)
        self._done += 1
        if self.plan.progress is not None:
            self.plan.progress(self._done, self._known, text)


def _distribute(
    executor: Executor, work: Work, common: bytes, tasks: Sequence[Task], finished: Callable[[Task, Outcome], None]
) -> None:
    queue, running = iter(tasks), dict[Future[Outcome], Task]()
    try:
        while True:
            while len(running) < _WINDOW and (task := next(queue, None)) is not None:
                running[executor.submit(work, common, task)] = task
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                finished(running.pop(future), future.result())
    finally:
        for future in running:
            future.cancel()


@contextmanager
def open_executor(
    kind: str = "local", *, workers: int | None = None, scheduler: str | None = None
) -> Iterator[Executor | None]:
    """An executor for `Plan`: None (here), worker processes, or a dask cluster.

    workers : processes to start, by default one per core; scheduler : address of a running dask scheduler
    (``tcp://host:8786``); a cluster of processes on this machine is started without one.

    Raises
    ------
    FitError : another kind, dask is not installed, or its scheduler cannot be reached.
    """
    if kind not in KINDS:
        raise FitError(f"executor: found {kind!r}; allowed are {', '.join(KINDS)}")
    if scheduler is not None and kind != "dask":
        raise FitError(f"scheduler: found {scheduler!r} with executor {kind!r}; it belongs to executor 'dask'")
    count = workers or os.cpu_count() or 1
    if kind == "local":
        yield None
    elif kind == "processes":
        with _processes(count) as pool:
            yield pool
    else:
        with _dask(scheduler, count) as executor:
            yield executor


@contextmanager
def _processes(count: int) -> Iterator[Executor]:
    """Worker processes, started afresh so that no thread of ours is copied.

    An interrupt from the keyboard reaches every process of the terminal: the workers ignore it, where that can be
    arranged from their very start, and are ended by us, so that nobody answers it with a traceback.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        with _interrupts_ignored():
            for _ in range(count):
                pool.submit(os.getpid)
        yield pool
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """What is started inside inherits it; only the main thread can ask for that, and only of a handler of Python's."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield
        return
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


@contextmanager
def _dask(scheduler: str | None, count: int) -> Iterator[Executor]:
    try:
        import distributed
    except ImportError:
        raise FitError("executor 'dask': dask is not installed; pip install 'nuemstat[dask]' does it") from None
    dask: Any = distributed  # its functions are not typed
    where = scheduler or "on this machine"
    try:
        if scheduler is not None:
            _knock(scheduler)
        if scheduler is None:
            cluster = dask.LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None)
        client = dask.Client(scheduler or cluster, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        gc.collect()  # a client that failed must not be collected while another one starts: both would wait for ever
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise FitError(
            f"dask scheduler {where}: it cannot be reached ({reason}); `dask scheduler` starts one, tcp://HOST:8786"
        ) from None
    try:
        yield client.get_executor(pure=False, retries=3)
    finally:
        client.close()
        if scheduler is None:
            cluster.close()


def _knock(address: str) -> None:
    """An OSError or ValueError unless something listens at the address, without starting any of dask's threads."""
    parts = urlsplit(address)
    if parts.hostname is None or parts.port is None:
        raise ValueError("it is no tcp://HOST:PORT")
    if parts.scheme in ("tcp", "tls"):
        socket.create_connection((parts.hostname, parts.port), timeout=_PATIENCE).close()
