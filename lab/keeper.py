"""The first process of a lab: starts runsvdir, adopts and reaps every orphan, ends with the last of them.

Run as a file: ARGV of runsvdir. Without it orphans would go to the machine's process 1, where `down` could no longer
tell them from others, and which in a container often reaps nobody.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(ctypes.get_errno())}")
    os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
