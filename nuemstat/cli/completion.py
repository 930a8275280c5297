"""What the shell is offered when the tabulator key is hit; names only, no model is read.

Switched on with ``eval "$(_NUEMSTAT_COMPLETE=bash_source nuemstat)"``, or zsh_source, fish_source.
"""

import os
from typing import Any

import click
from click.shell_completion import CompletionItem, shell_complete

VARIABLE = "_NUEMSTAT_COMPLETE"


def asked() -> bool:
    """Whether the shell calls us for completions."""
    return bool(os.environ.get(VARIABLE))


def answer(application: click.Command) -> int:
    """Give the shell its script or its completions; the exit code."""
    return shell_complete(application, {}, "nuemstat", VARIABLE, os.environ[VARIABLE])


def complete_workspaces(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shipped models, and files."""
    from nuemstat.model.loader import shipped_models

    if ":" in incomplete:
        return _variants(incomplete)
    names: list[Any] = [CompletionItem(name) for name in shipped_models() if name.startswith(incomplete)]
    return [*names, CompletionItem(incomplete, type="file")]


def _variants(incomplete: str) -> list[CompletionItem]:
    """The variants of the model before the colon, after those that are there."""
    from nuemstat.errors import NuemstatError
    from nuemstat.model.loader import load_model

    head, _, tail = incomplete.partition(":")
    done, _, begun = tail.rpartition(",")
    front = f"{head}:{done}," if done else f"{head}:"
    try:
        groups = load_model(head).groups
    except NuemstatError:
        return []
    return [
        CompletionItem(front + option) for options in groups.values() for option in options if option.startswith(begun)
    ]


def complete_couplings(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Couplings, universal ones first."""
    from nuemstat.vocabulary import COUPLINGS, UNIVERSAL

    return [CompletionItem(name) for name in (*UNIVERSAL, *COUPLINGS) if name.startswith(incomplete)]


def complete_validation(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Experiments with published numbers."""
    from nuemstat.validate import shipped

    return [CompletionItem(name) for name in shipped() if name.startswith(incomplete)]
