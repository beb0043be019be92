"""Ctrl-C where native code calls back into Python."""

import os
import signal

import pytest

from gluon_liver.system.interrupts import late_interrupts, terminate_as_interrupt


def test_it_comes_when_the_work_is_done_and_at_once_the_second_time(ctrl_c):
    before, done = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt):
        with late_interrupts():
            ctrl_c()
            done.append(1)
    with pytest.raises(KeyboardInterrupt):
        with late_interrupts():
            ctrl_c()
            done.append(2)
            ctrl_c()
            done.append(3)
    assert done == [1, 2] and signal.getsignal(signal.SIGINT) is before


def test_what_goes_wrong_in_the_work_is_not_hidden(ctrl_c):
    with pytest.raises(ZeroDivisionError), late_interrupts():
        ctrl_c()
        raise ZeroDivisionError


def test_a_job_in_the_background_stays_deaf(ctrl_c):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with late_interrupts():
            ctrl_c()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_background_job_is_ended_by_sigterm_when_the_work_is_done(ctrl_c):
    before, done = signal.signal(signal.SIGINT, signal.SIG_IGN), []
    try:
        with pytest.raises(KeyboardInterrupt), terminate_as_interrupt():
            with late_interrupts():
                ctrl_c()
                os.kill(os.getpid(), signal.SIGTERM)
                done.append(1)
            done.append(2)
        assert done == [1] and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
