"""One run an output: a lock beside the target that names its holder and that the kernel drops when the holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import socket
import time
from pathlib import Path
from types import TracebackType

from suture.errors import OutputExistsError, Problem, ResourceError

MUST = "Only one run may write an output."


class OutputLock:
    """The lock of one target, held while the block runs. A lock file that no living process holds is taken over.

    Raises OutputExistsError where another run holds it, or where the file is another user's; ResourceError where the
    file system has no locks.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._file = target.with_name(f".{target.name}.suture-lock")
        self._descriptor = -1

    def __enter__(self) -> OutputLock:
        while self._descriptor < 0:
            descriptor = self._open()
            try:
                self._flock(descriptor)
                if _same_file(descriptor, self._file):
                    self._descriptor = descriptor
            finally:
                if self._descriptor < 0:  # refused, or the holder before us removed it between our open and our lock
                    os.close(descriptor)
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        holder = f"process {os.getpid()} on {socket.gethostname()} since {since}"
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, holder.encode(), 0)
        except OSError as error:
            # On a full disk the lock holds without a name; the run will say itself that there is no room.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                self._release()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        if self._descriptor >= 0:
            try:
                self._file.unlink(missing_ok=True)
            except OSError:  # a disk that turned read-only: the file stays, the lock does not
                pass
            finally:
                os.close(self._descriptor)
                self._descriptor = -1

    def _open(self) -> int:
        try:
            return os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        except PermissionError:
            if not self._file.exists():
                raise
            raise self._of_another_user() from None

    def _flock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            got = f"a lock of {_holder(descriptor)}"
            raise OutputExistsError(Problem(MUST, got, str(self._target), "Wait for it to end.")) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            must = "The file system of an output must have file locks."
            got = os.strerror(error.errno).lower()
            raise ResourceError(Problem(must, got, str(self._target), "Choose another folder.")) from None

    def _of_another_user(self) -> OutputExistsError:
        user = _user(self._file)
        try:
            descriptor = os.open(self._file, os.O_RDONLY)
        except OSError:
            got = f"a lock of user {user}, which may not be read"
            return OutputExistsError(Problem(MUST, got, str(self._target), f"Ask {user}."))
        try:
            holder = _holder(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return OutputExistsError(
                Problem(MUST, f"a lock of user {user}, {holder}", str(self._target), "Wait for it to end.")
            )
        finally:
            os.close(descriptor)
        got = f"a lock that user {user} left behind, {holder}, which has ended"
        return OutputExistsError(Problem(MUST, got, str(self._target), f"Ask {user} to remove {self._file}."))


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace") or "another run"


def _user(file: Path) -> str:
    number = file.stat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
