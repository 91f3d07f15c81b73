"""Both patterns stay right where the critical section awaits; what the wire shows is in test_engines.py."""

import asyncio

import pytest

from perfkit.errors import CallDropped, CounterClosed, CountOverflow, NegativeValue
from perfkit.subject.counters_async import PATTERNS
from perfkit.subject.state import State

TASKS, CALLS = 8, 20


@pytest.fixture(params=[(name, batch) for name in sorted(PATTERNS) for batch in (0, 4) if name != "mutex" or not batch])
def make(request):
    """Makes the counter of a state, of each pattern, one at a time and in batches."""
    name, batch = request.param
    return lambda count=0, hold_us=0: PATTERNS[name](State(count, hold_us=hold_us), batch)


def yes():
    return True


@pytest.mark.parametrize("hold_us", [0, 200])
def test_no_update_is_lost_and_replies_are_distinct_and_gap_free(make, hold_us):
    async def main():
        counter = make(hold_us=hold_us)

        async def work():
            return [await counter.increment(1, yes) for _ in range(CALLS)]

        replies = await asyncio.gather(*(work() for _ in range(TASKS)))
        return [one for own in replies for one in own], await counter.close()

    replies, final = asyncio.run(main())
    assert sorted(replies) == list(range(1, TASKS * CALLS + 1))
    assert final == TASKS * CALLS


def test_a_caller_that_is_cancelled_while_it_waits_changes_nothing_and_holds_nobody_up(make):
    async def main():
        counter = make(hold_us=10_000)
        first, gone = (asyncio.create_task(counter.increment(by, yes)) for by in (1, 100))
        await asyncio.sleep(0.002)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await first, await counter.increment(1, yes), await counter.close()

    assert asyncio.run(main()) == (1, 2, 2)


def test_what_is_refused_changes_nothing(make):
    async def main():
        counter = make(2**63 - 1)
        for by, wanted, error in ((-1, yes, NegativeValue), (1, yes, CountOverflow), (0, lambda: False, CallDropped)):
            with pytest.raises(error):
                await counter.increment(by, wanted)
        return await counter.increment(0, yes)

    assert asyncio.run(main()) == 2**63 - 1


def test_a_check_that_fails_is_its_callers_problem_alone(make):
    async def main():
        counter = make()
        with pytest.raises(ZeroDivisionError):
            await counter.increment(1, lambda: 1 / 0)
        return await counter.increment(1, yes)

    assert asyncio.run(main()) == 1


def test_closing_answers_who_waits_and_refuses_who_comes(make):
    async def main():
        counter = make(hold_us=1000)
        waiting = [asyncio.create_task(counter.increment(1, yes)) for _ in range(5)]
        await asyncio.sleep(0)
        final = await counter.close()
        with pytest.raises(CounterClosed):
            await counter.increment(1, yes)
        return final, await asyncio.gather(*waiting), await counter.close()

    assert asyncio.run(main()) == (5, [1, 2, 3, 4, 5], 5)
