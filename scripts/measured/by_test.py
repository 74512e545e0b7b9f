"""Plugin of pytest that notes which test runs while branches are counted, see `sitecustomize` in this folder."""

import pytest
from sitecustomize import name_test


def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Note it before its fixtures."""
    name_test(item.nodeid)
