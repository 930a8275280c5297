"""What can go wrong by a user's hand: each message says where, what was found, what is allowed."""


class NuemstatError(ValueError):
    """Base of the errors that a user can mend; the command line prints them in one line and exits with 2."""


class UnitError(NuemstatError):
    """A quantity that cannot be read, or has another dimension than asked for."""


class ModelError(NuemstatError):
    """A model file or one of its tables does not fit the vocabulary."""


class WorkspaceError(NuemstatError):
    """A workspace document is damaged, too new, or does not hold what was asked of it."""


class FitError(NuemstatError):
    """A fit or a limit that was asked for cannot be given."""


def suggestion(wrong: str, known: list[str]) -> str:
    """The ending '; did you mean ...?' when one of the known names is close to `wrong`, else ''."""
    import difflib

    close = difflib.get_close_matches(wrong, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
