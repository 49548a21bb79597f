"""Accounts: names that are had once, settings of one's own, and what administrators do to others."""

import pytest
from registry.people import make_user

from dockyard.errors import Conflict


async def test_a_name_is_had_once(hub_of_accounts):
    ada = await make_user(hub_of_accounts, "ada")
    with pytest.raises(Conflict, match="the name ada is taken"):
        await make_user(hub_of_accounts, "ada")

    assert (ada.name, ada.administrator) == ("ada", False)
