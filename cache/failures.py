"""Full disks and lost permissions, told in one line."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scene.errors import InputError

_FULL = {errno.ENOSPC: "disk full", errno.EDQUOT: "disk quota used up", errno.EFBIG: "file size limit reached"}
_DENIED = {errno.EACCES: "permission denied", errno.EPERM: "not permitted", errno.EROFS: "read-only file system"}


@contextmanager
def explain_write_errors(root: Path) -> Iterator[None]:
    """Turns a failure to write to the cache at `root` into an `InputError` that says what to do.

    A full disk is recognised wherever it appears in the chain of causes, also as text: the writers of safetensors and
    torch files report it without an OSError. Permissions are explained only for files of the cache itself.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        link: BaseException | None = error
        while link is not None:
            if explained := _explain(link, root):
                raise explained from error
            link = link.__cause__ or link.__context__
        raise


def _explain(error: BaseException, root: Path) -> InputError | None:
    code = error.errno if isinstance(error, OSError) else None
    place = Path(getattr(error, "filename", None) or root)
    ours = place.absolute().is_relative_to(root.absolute())
    if code in _FULL or "No space left on device" in str(error):
        what = _FULL.get(code or errno.ENOSPC, "disk full")
        where = str(root if ours else place)
        return InputError(what, where=where, fix="free some space and run again: it goes on from where it was")
    if code in _DENIED and ours:
        fix = "make the cache folder readable and writable and run again: it goes on from where it was"
        return InputError(_DENIED[code], where=str(place), fix=fix)
    return None
