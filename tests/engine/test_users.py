"""USER by an image's etc/passwd and etc/group, as docker reads them."""

import pytest

from dockyard.engine.users import Identity, identify
from dockyard.errors import Invalid

PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001::/home/ann:\n"
    "# note\nbroken\nodd:x:many:1::/:\nbig:x:4294967296:0::/:\n"
)
GROUP = "root:x:0:\nwheel:x:10:root,ann\naudio:x:29:ann,bob\nhuge:x:4294967296:\n"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Identity(0, 0, (10,))),
        ("root", Identity(0, 0, (10,))),
        ("ann", Identity(1000, 1001, (10, 29))),
        ("1000", Identity(1000, 1001, (10, 29))),
        ("ann:audio", Identity(1000, 29)),
        ("ann:29", Identity(1000, 29)),
        ("ann:", Identity(1000, 1001, (10, 29))),
        ("5000", Identity(5000, 0)),
        ("5000:6000", Identity(5000, 6000)),
        (":29", Identity(0, 29)),
        ("2147483647", Identity(2147483647, 0)),
    ],
)
def test_a_user_is_found_by_name_or_number(user: str, expected: Identity) -> None:
    assert expected == identify(user, PASSWD, GROUP)


def test_without_files_numbers_and_root_are_known() -> None:
    assert Identity(0, 0) == identify("")
    assert Identity(7, 8) == identify("7:8")


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("bob", "unable to find user bob: no matching entries in passwd file"),
        ("0x0", "unable to find user 0x0: no matching entries in passwd file"),
        ("odd", "unable to find user odd: no matching entries in passwd file"),
        ("٣", "unable to find user ٣: no matching entries in passwd file"),
        ("ann:users", "unable to find group users: no matching entries in group file"),
        ("4294967296", "uids and gids must be in range 0-2147483647"),
        ("2147483648", "uids and gids must be in range 0-2147483647"),
        ("-1", "uids and gids must be in range 0-2147483647"),
        ("ann:-1", "uids and gids must be in range 0-2147483647"),
        ("ann:4294967296", "uids and gids must be in range 0-2147483647"),
        ("ann:huge", "uids and gids must be in range 0-2147483647"),
        ("big", "uids and gids must be in range 0-2147483647"),
    ],
)
def test_a_user_who_is_not_there_or_would_come_round_to_root_is_refused(user: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        identify(user, PASSWD, GROUP)

    assert message == caught.value.message
