"""The heap of processes that compute."""

import subprocess
import sys

from foretell.heap import heap_environment

ASK = """
import ctypes, resource
from foretell.heap import keep_freed_memory
assert keep_freed_memory(2)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def use():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    place = libc.malloc(8 << 20)
    libc.memset(place, 1, 8 << 20)
    libc.free(place)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
use()
print(use())
"""


def test_a_buffer_that_was_freed_is_taken_again_without_faults():
    said = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=True, timeout=60
    )
    # Given back to the kernel, its 2,048 pages would each cost a fault.
    assert int(said.stdout) < 200


def test_workers_are_told_by_their_environment():
    assert heap_environment(1)["MALLOC_ARENA_MAX"] == 2
    assert heap_environment(6)["MALLOC_ARENA_MAX"] == 6
