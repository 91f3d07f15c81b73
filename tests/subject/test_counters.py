import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.errors import CallDropped, CounterClosed, CountOverflow, NegativeValue
from perfkit.subject.counters import increment
from perfkit.subject.patterns import PATTERNS
from perfkit.subject.state import COUNT_MAX, State

THREADS, CALLS = 8, 500


@pytest.fixture(params=[(name, batch) for name in sorted(PATTERNS) for batch in (0, 4) if name != "mutex" or not batch])
def make(request):
    """Makes the counter of a state, of each pattern, one at a time and in batches."""
    name, batch = request.param
    return lambda state=None: PATTERNS[name](state or State(), batch)


@pytest.fixture
def counter(make):
    counter = make()
    yield counter
    counter.close()


def in_threads(work, count=THREADS):
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a caller was left hanging"


def test_no_update_is_lost_and_replies_are_distinct_and_gap_free(counter):
    replies = []
    in_threads(lambda: replies.extend([increment(counter, 1) for _ in range(CALLS)]))
    assert sorted(replies) == list(range(1, THREADS * CALLS + 1))
    assert counter.close() == THREADS * CALLS


def test_each_caller_sees_its_own_replies_rise(counter):
    def work():
        mine = [increment(counter, 1) for _ in range(CALLS)]
        assert mine == sorted(set(mine))

    in_threads(work)


def test_zero_reads(counter):
    increment(counter, 41)
    assert increment(counter, 0) == 41


def test_a_negative_value_is_refused_and_changes_nothing(counter):
    increment(counter, 7)
    with pytest.raises(NegativeValue, match="Value cannot be negative"):
        increment(counter, -1)
    assert increment(counter, 0) == 7


def test_an_overflow_is_refused_and_changes_nothing(make):
    counter = make(State(COUNT_MAX - 1))
    assert increment(counter, 1) == COUNT_MAX
    with pytest.raises(CountOverflow, match="64 bits"):
        increment(counter, 1)
    assert counter.close() == COUNT_MAX


def test_a_call_nobody_waits_for_is_dropped_unapplied(counter):
    with pytest.raises(CallDropped):
        increment(counter, 5, lambda: False)
    assert increment(counter, 0) == 0


def test_whether_somebody_waits_is_asked_when_the_call_is_taken_not_when_it_is_made(counter):
    taken, release, wanted = threading.Event(), threading.Event(), [True]

    def hold():
        taken.set()
        return release.wait(60)

    holder = threading.Thread(target=lambda: increment(counter, 1, hold))
    holder.start()
    assert taken.wait(60)
    errors = []

    def late():
        try:
            increment(counter, 1, lambda: wanted[0])
        except CallDropped as error:
            errors.append(error)

    waiting = threading.Thread(target=late)
    waiting.start()
    wanted[0] = False  # the caller gives up while its call waits
    release.set()
    holder.join(60)
    waiting.join(60)
    assert len(errors) == 1
    assert increment(counter, 0) == 1


def test_after_close_calls_are_refused(counter):
    increment(counter, 3)
    assert counter.close() == 3
    with pytest.raises(CounterClosed):
        increment(counter, 1)
    assert counter.close() == 3


def test_close_answers_everyone_who_waits(counter):
    """Callers race with close: each gets a count or CounterClosed, and the counts add up."""
    applied, refused = [], []
    started = threading.Barrier(THREADS + 1)

    def work():
        started.wait()
        for _ in range(CALLS):
            try:
                applied.append(increment(counter, 1))
            except CounterClosed as error:
                refused.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    started.wait()
    final = counter.close()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a caller was left hanging"
    assert len(applied) == final
    assert len(applied) + len(refused) == THREADS * CALLS


def test_a_check_that_fails_is_its_callers_problem_alone(counter):
    def broken():
        raise RuntimeError("broken check")

    with pytest.raises(RuntimeError, match="broken check"):
        increment(counter, 1, broken)
    assert increment(counter, 1) == 1


@given(st.lists(st.integers(-3, 2**62), max_size=30))
def test_any_sequence_of_calls_gives_all_patterns_the_same_answers(values):
    answers = []
    for pattern in PATTERNS.values():
        counter, told = pattern(State(), 3), []
        for value in values:
            try:
                told.append(increment(counter, value))
            except (NegativeValue, CountOverflow) as error:
                told.append(type(error).__name__)
        answers.append((told, counter.close()))
    assert all(one == answers[0] for one in answers)
