from collections.abc import Iterator

import pytest

from tests.support import net as nets
from tests.support.lab import Lab
from tests.support.net import Net, inside


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    if reason := nets.missing():
        pytest.skip(reason)
    made = Net(tmp_path_factory.mktemp("net"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def a_lab(net: Net) -> Iterator[Lab]:
    made = Lab(net)
    yield made
    for host in [*made.programs]:
        made.end(host)


@pytest.fixture
def lab(net: Net, a_lab: Lab) -> Iterator[Lab]:
    """A cluster that is whole, and this thread on its coordinator's host."""
    a_lab.mend()
    with inside(net, "c"):
        yield a_lab
