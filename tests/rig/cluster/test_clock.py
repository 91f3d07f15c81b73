import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.errors import LoadError
from perfkit.rig.cluster.clock import Exchange, Offset, offset
from perfkit.rig.cluster.trial import agreed, refuse_vague

WAYS = st.tuples(st.floats(0, 0.1), st.floats(0, 0.1))


@given(st.floats(-1e4, 1e4), st.lists(WAYS, min_size=1, max_size=16))
def test_the_true_offset_is_within_its_error_however_unequal_the_ways_are(true_s, ways):
    exchanges, now_s = [], 1000.0
    for there_s, back_s in ways:
        exchanges.append(Exchange(now_s, now_s + there_s + true_s, now_s + there_s + back_s))
        now_s += 1
    found = offset(exchanges)
    assert abs(found.offset_s - true_s) <= found.error_s + 1e-9
    assert found.error_s <= min(sum(way) for way in ways) / 2 + 1e-9, "the shortest exchange tells the most"


def test_a_clock_that_was_set_between_two_looks_is_found():
    assert Offset(0.0100, 0.0007).agrees_with(Offset(0.0110, 0.0007))
    assert not Offset(0.0100, 0.0007).agrees_with(Offset(0.0130, 0.0007))
    assert Offset(2.5, 0.001).there(100.0) == 102.5


class FakeHost:
    """Only its name is asked for."""

    name = "g1"


def test_a_clock_that_is_known_too_vaguely_for_the_window_is_refused_by_its_host():
    host = FakeHost()
    refuse_vague({host: Offset(5.0, 0.009)}, duration_s=1)
    with pytest.raises(
        LoadError, match=r"clock of host g1 is known to ± 11.0 ms only, more than 1 % of a window of 1 s"
    ):
        refuse_vague({host: Offset(5.0, 0.011)}, duration_s=1)


def test_a_clock_that_was_set_in_between_is_as_wrong_as_it_was_moved():
    host = FakeHost()
    found = agreed({host: Offset(5.0, 0.001)}, {host: Offset(5.1, 0.002)})[host]
    assert found.offset_ms == pytest.approx(5000)
    assert found.error_ms == pytest.approx(102)
