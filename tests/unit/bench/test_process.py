import os
import subprocess
import sys
import time

import pytest
from tests.bench.process import Process


def test_the_kernel_counts_what_a_process_uses() -> None:
    own = Process(os.getpid())
    before, end = own.cpu(), time.process_time() + 0.2
    while time.process_time() < end:
        pass
    assert own.cpu() - before == pytest.approx(0.2, abs=0.1)
    assert 5 < own.resident() < 4000


def test_memory_that_is_taken_is_seen() -> None:
    program = "block = bytearray(60 << 20)\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert Process(child.pid).resident() > 60
        assert 0 <= Process(child.pid).age() < 60
        child.communicate(b"\n")
    assert Process(child.pid).resident() == 0.0


def test_a_pod_without_a_process_is_said_to_have_none() -> None:
    with pytest.raises(AssertionError, match="no process of pod"):
        Process.of_pod("00000000-1111-2222-3333-444444444444")
