import subprocess
import sys

import perfkit


def test_everything_exported_is_there_and_sorted():
    assert perfkit.__all__ == sorted(perfkit.__all__)
    for name in perfkit.__all__:
        assert getattr(perfkit, name).__doc__, name


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(perfkit, "no_such_thing")


def test_importing_the_package_brings_nothing_heavy():
    """A served process imports it too."""
    source = "import perfkit, sys; print([m for m in ('pandas', 'matplotlib', 'grpc', 'scipy') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_served_process_brings_no_table_and_no_figure():
    source = (
        "import perfkit.subject.serve, sys; print([m for m in ('pandas', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
