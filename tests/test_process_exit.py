import subprocess
import sys

PROGRAM = """
import atexit, sys, threading
from relay.process_exit import leave
atexit.register(print, "atexit ran")
threading.Thread(target=threading.Event().wait).start()
sys.stdout.write("last words")
sys.stderr.write("last error")
leave(7)
"""


def run(program=PROGRAM, **pipes):
    # -E: with PYTHONUNBUFFERED there would be nothing left to flush.
    command = [sys.executable, "-E", "-c", program]
    return subprocess.run(command, timeout=30, text=True, check=False, **pipes)


def test_the_process_ends_with_the_status_and_all_that_was_written():
    done = run(capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "last words", "last error")


def test_a_reader_that_went_away_does_not_change_the_status():
    gone = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    gone.wait()
    assert gone.stdin is not None
    with gone.stdin:
        assert run(stdout=gone.stdin, stderr=subprocess.DEVNULL).returncode == 7


def test_streams_that_were_closed_do_not_change_the_status():
    program = PROGRAM.replace("leave(7)", "sys.stdout.close(); sys.stderr = None; leave(7)")
    assert run(program, capture_output=True).returncode == 7
