"""The command line: one file a verb, thin; the only code that prints.

`main` turns errors into messages and exit codes: a SutureError into its problems and its own code, Ctrl-C into 9,
anything unforeseen into one line that names its class and place and carries no text of data (`--debug` shows more).
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Sequence

from suture.errors import SutureError

UNFORESEEN = 1
INTERRUPTED = 9
HUSH_SECONDS = 2.0
SIGNALLED = 130  # what typer makes of Ctrl-C
AGAIN = "Interrupted. Run the same command again: what is finished is not computed twice."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    from suture.cli.app import app

    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        code = app(words, standalone_mode=False) or 0
        if code == SIGNALLED:
            raise KeyboardInterrupt
    except Exception as error:
        if debug:
            traceback.print_exc()
            print(getattr(error, "detail", ""), file=sys.stderr)  # the traceback of a worker
        code = _explain(error)
    except KeyboardInterrupt:
        code = _hushed(INTERRUPTED) if _follows() else _say(AGAIN, INTERRUPTED)
    sys.exit(code)


def _explain(error: Exception) -> int:
    """Print what went wrong to stderr; return the exit code."""
    import typer

    if isinstance(error, SutureError):
        if error.told:
            return _hushed(error.exit_code)
        return _say("\n".join(f"error: {problem}" for problem in error.problems), error.exit_code)
    if isinstance(error, typer.Abort):
        return _say(AGAIN, INTERRUPTED)
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # typer's own, or click's in its older versions
        if _follows():
            return _hushed(int(error.exit_code))
        error.show()
        return int(error.exit_code)
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nothing more to say
        return 0
    last = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} at {os.path.basename(last.filename)}, line {last.lineno}, in {last.name}"
    if hasattr(error, "detail"):  # from a worker of a study, which says step, class and place itself
        what = str(error)
    return _say(f"unforeseen error: {what}. Add --debug for the traceback.", UNFORESEEN)


def _follows() -> bool:
    """Whether this is one of several launched processes, and not the one that speaks (`suture.adapt.processes`)."""
    return os.environ.get("RANK", "0") != "0"


def _hushed(code: int) -> int:
    """Return `code` after the process that speaks has had time to: launchers end all as soon as one has ended."""
    time.sleep(HUSH_SECONDS)
    return code


def _say(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code
