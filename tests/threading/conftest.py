"""One stretch of chain for all tests of threading."""

import pytest

from reference.threading_stretch import Stretch, adenylate_kinase


@pytest.fixture(scope="session")
def stretch() -> Stretch:
    return adenylate_kinase()
