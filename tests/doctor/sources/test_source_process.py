from __future__ import annotations

import sys
import time

from comfykit.doctor.sources.process import run


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_what_a_program_writes_is_kept_even_when_it_is_not_text() -> None:
    ended = run(python("import sys; sys.stdout.buffer.write(b'a\\xff'); sys.stderr.write('b')"), 20)
    assert (ended.stdout, ended.stderr, ended.problem) == ("a\ufffd", "b", None)


def test_exit_code_and_signal_are_told_apart() -> None:
    assert run(python("raise SystemExit(18)"), 20).problem == "ended with exit code 18"
    crash = run(python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"), 20)
    assert crash.problem == "crashed (SIGSEGV)"


def test_a_program_that_hangs_is_killed() -> None:
    start = time.monotonic()
    ended = run(python("import time; time.sleep(60)"), 0.5)
    assert ended.problem == "gave no answer in 0.5 s"
    assert time.monotonic() - start < 20


def test_a_program_that_is_not_there() -> None:
    assert run(["/nowhere/at-all"], 1).problem == "could not be started (No such file or directory)"


def test_a_program_that_asks_gets_no_answer() -> None:
    ended = run(python("input()"), 20)
    assert "EOFError" in ended.stderr
