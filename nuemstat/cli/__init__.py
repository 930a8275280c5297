"""The command line: each command opens, validates, calls one function of the library, and prints or writes.

Results go to standard output, progress and warnings to standard error; a user's mistake is one line and exit 2.
"""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from nuemstat.errors import NuemstatError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 (a validation broken), 2 (a user's mistake) or 130 (interrupted)."""
    # Set before numpy loads: the arrays are small, and threads would only fight the worker processes for the cores.
    for library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(library, "1")
    from nuemstat.cli import completion
    from nuemstat.cli.commands import application

    if completion.asked():
        return completion.answer(application)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = _show_warning  # type: ignore[assignment]
        try:
            # Not application.main(), which answers interrupts and closed pipes in its own way.
            given = list(sys.argv[1:] if arguments is None else arguments)
            with application.make_context("nuemstat", given) as context:
                result = application.invoke(context)
            sys.stdout.flush()
            return result if isinstance(result, int) else 0
        except click.exceptions.Exit as error:
            return error.exit_code
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return 2
        except click.ClickException as error:
            return _complain(error.format_message(), 2)
        except NuemstatError as error:
            return _complain(str(error), 2)
        except BrokenPipeError:
            _silence_standard_output()
            return 141
        except OSError as error:
            return _complain(f"{error.filename or 'output'}: {error.strerror or error}", 2)
        except (KeyboardInterrupt, click.Abort) as error:
            return _complain(str(error) or "interrupted", 130)


def _complain(message: str, code: int) -> int:
    click.echo(f"nuemstat: error: {' '.join(message.split())}", err=True)
    return code


def _show_warning(message: Warning | str, *_: Any) -> None:
    click.echo(f"nuemstat: warning: {' '.join(str(message).split())}", err=True)


def _silence_standard_output() -> None:
    """Whoever read us has gone (``| head``); what is still in the buffer must not raise again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
