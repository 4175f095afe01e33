"""What the platform refuses: accounts and devices that were blocked by what was known of others."""

import numpy as np

from etl.simulator.labels import NEVER
from etl.simulator.pools import Flags, Ints

REPORTS_TO_BLOCK_A_DEVICE = 2


def refused(user: Ints, device: Ints, time: Ints, blocked_at: Ints) -> Flags:
    """Which transactions never happen, as their account or device was blocked by what was known of others.

    Args:
        user, device, time: of each transaction; a device of -1 is none.
        blocked_at: when a transaction's report takes effect, `NEVER` where there is none: from then on its account is
            blocked, and its device once a second one has. Reports of what never happened have no effect.
    """
    gone = np.zeros(len(time), np.bool_)
    of_user: dict[int, list[int]] = {}
    of_device: dict[int, list[int]] = {}
    for row in np.argsort(time, kind="stable").tolist():
        who, what, now = int(user[row]), int(device[row]), int(time[row])
        reports = sum(at <= now for at in of_device.get(what, ()))
        gone[row] = any(at <= now for at in of_user.get(who, ())) or reports >= REPORTS_TO_BLOCK_A_DEVICE
        if not gone[row] and blocked_at[row] != NEVER:
            of_user.setdefault(who, []).append(int(blocked_at[row]))
            if what >= 0:
                of_device.setdefault(what, []).append(int(blocked_at[row]))
    return gone
