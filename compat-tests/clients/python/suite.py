"""Runs every case against the broker at the address given, several at once; the last line counts them.

usage: suite.py ADDRESS [WORD]      WORD: only the cases whose name contains it
"""

import sys
import time
import traceback
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor

import admin_cases  # noqa: F401  (each module adds its cases)
import compaction_cases  # noqa: F401
import group_cases  # noqa: F401
import membership_cases  # noqa: F401
import name_cases  # noqa: F401
import offset_cases  # noqa: F401
import produce_cases  # noqa: F401
import restore_cases  # noqa: F401
import snapshot_cases  # noqa: F401
import topic_cases  # noqa: F401
from cases import CASES

AT_ONCE = 6


def run(function, address):
    """One case: its name, seconds, and what went wrong (or None)."""
    start, trouble = time.monotonic(), None
    try:
        function(address)
    except BaseException:  # noqa: BLE001  (a case may fail in any way; the suite goes on)
        trouble = explain(sys.exc_info()[1])
    return function.__name__, time.monotonic() - start, trouble


def explain(error):
    """The error, and the lines of this suite that led to it."""
    here = str(Path(__file__).parent)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(here)][1:]
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    return f"       {type(error).__name__}: {error}\n       at {where}"


def main():
    address, word = sys.argv[1], (sys.argv[2:] or [""])[0]
    chosen = [function for function in CASES if word in function.__name__]
    failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, seconds, trouble in pool.map(lambda function: run(function, address), chosen):
            print(f"{'FAILED' if trouble else 'ok':6} {name} ({seconds:.1f} s)", flush=True)
            if trouble:
                failed += 1
                print(trouble, flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not chosen else 0)


main()
