"""Threads beside the network: order, bounds, and errors that reach the caller."""

import threading
import time

import pytest

from gluon_liver.inference.ahead import MOST_WAITING, Behind, ahead


def test_items_come_in_order_and_no_more_are_made_than_asked_for():
    made = []

    def items():
        for number in range(20):
            made.append(number)
            yield number

    found = ahead(items(), count=3)
    for number in range(20):
        assert next(found) == number
        assert len(made) <= number + 5
    assert list(found) == [] and threading.active_count() < 20


def test_items_are_made_while_the_caller_works():
    thread = []
    assert list(ahead(thread.append(threading.current_thread()) or number for number in range(2))) == [0, 1]
    assert threading.main_thread() not in thread


def test_what_making_an_item_raises_reaches_the_caller():
    def items():
        yield 1
        raise OSError("slice 2 cannot be read")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(OSError, match="slice 2"):
        next(found)


def test_a_caller_that_stops_ends_the_thread():
    before = threading.active_count()
    found = ahead(iter(range(100)))
    next(found)
    found.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("most", [1, MOST_WAITING])
def test_calls_are_made_in_order_and_waited_for(most):
    made = []
    with Behind(most) as behind:
        for number in range(20):
            behind.submit(lambda one: time.sleep(0.001) or made.append(one), number)
            assert number - len(made) < most + 1
    assert made == list(range(20))


@pytest.mark.parametrize("calls", [1, 9])
def test_what_a_call_raises_reaches_the_caller(calls):
    def draw(number):
        if number == 0:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        with Behind() as behind:
            for number in range(calls):
                behind.submit(draw, number)


def test_an_error_of_the_caller_is_not_hidden_by_one_of_a_call():
    def draw():
        raise OSError("no space left")

    with pytest.raises(KeyboardInterrupt):
        with Behind() as behind:
            behind.submit(draw)
            raise KeyboardInterrupt
