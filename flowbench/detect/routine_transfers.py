"""Forms of transfers that are routine: on a schedule, steady, a few files, in a backup window.

``slots`` are the bytes that a host sent a peer in each ten minutes: epoch seconds (slot), in order,
and bytes (sent).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

SLOT = 600  # seconds
FEW_SLOTS = 10  # fewer slots with traffic are a few files

_HOUR, _DAY = 3_600, 86_400
_PAUSE = 1_800  # seconds
_OCCASIONS = 3  # on which a person sends files
_BACKUP_WINDOW = pd.Timedelta(minutes=30)
_BACKUP_HOSTS = 3  # hosts that make a backup window
_BACKUPS = 2  # on different days
_LARGER = 1.5  # times the largest scheduled transfer


def is_occasional(slots: pd.DataFrame, attachment: float) -> bool:
    """Return whether the bytes are those of a few files.

    They are when they were sent in less than ten slots of ten minutes, and less than ``attachment``
    bytes without a pause of half an hour.
    """
    transfer = (slots["slot"].diff().fillna(0) > _PAUSE).cumsum()
    return bool(len(slots) < FEW_SLOTS and slots.groupby(transfer)["sent"].sum().max() < attachment)


def is_persons_files(slots: pd.DataFrame, attachment: float) -> bool:
    """Return whether the bytes are files that a person sends: at work, on several occasions.

    They are when they were sent on three occasions or more, pauses of half an hour between them, in
    half of the clock at most, and less than ``attachment`` bytes on each. A program that takes data
    out in small parts does so day and night.
    """
    transfer = (slots["slot"].diff().fillna(0) > _PAUSE).cumsum()
    hours = np.unique(slots["slot"] // _HOUR % 24)
    gaps = np.diff(hours, append=hours[0] + 24)  # without traffic, round the clock
    is_half = 24 - gaps.max() < 12
    sizes = slots.groupby(transfer)["sent"].sum()
    return bool(is_half and len(sizes) >= _OCCASIONS and sizes.max() < attachment)


def is_scheduled(slots: pd.DataFrame, begin: float, days: float) -> bool:
    """Return whether similar amounts are sent each day at the same hour from the first day on.

    A day begins in the quietest half of the clock, so that no transfer is split at midnight. False
    for less than two days.

    Args:
        slots: See the module.
        begin: When the host was first seen, in epoch seconds.
        days: How long it was seen.
    """
    hours = np.bincount(slots["slot"] % _DAY // _HOUR, slots["sent"].astype(float), minlength=24)
    half_days = [hours.take(range(h, h + 12), mode="wrap").sum() for h in range(24)]
    day_start = int(np.argmin(half_days)) + 6  # the middle of the quietest half of the clock
    shifted = slots["slot"] - day_start * _HOUR
    daily = (
        slots.assign(weighted=(shifted % _DAY).astype(float) * slots["sent"], day=shifted // _DAY)
        .groupby("day")[["sent", "weighted"]]
        .sum()
    )
    daily = daily[daily["sent"] >= 0.02 * slots["sent"].sum()]
    if len(daily) < 2 or len(daily) < days - 1.1:
        return False
    mean_time = daily["weighted"] / daily["sent"]  # seconds since the start of the day
    spread = np.average(
        np.abs((shifted % _DAY) - np.average(shifted % _DAY, weights=slots["sent"])),
        weights=slots["sent"],
    )
    is_similar = daily["sent"].max() <= 2 * daily["sent"].min()
    is_early = slots["slot"].min() - begin < 1.1 * _DAY
    same_hour = mean_time.max() - mean_time.min() <= _HOUR and spread <= _HOUR
    return bool(same_hour and is_similar and is_early)


def is_scheduled_but_once(slots: pd.DataFrame, begin: float, days: float) -> bool:
    """Return whether all transfers but one are on a schedule, and that one has their size.

    Somebody repeated a backup by hand. It may be half as large again. The arguments are those of
    ``is_scheduled``; there are pauses of half an hour between transfers, and at most ten.
    """
    number = (slots["slot"].diff().fillna(0) > _PAUSE).cumsum()
    sizes = slots.groupby(number)["sent"].sum()
    if not _BACKUPS < len(sizes) <= FEW_SLOTS:
        return False
    return any(
        is_scheduled(slots[number != left_out], begin, days)
        and size <= _LARGER * sizes.drop(left_out).max()
        for left_out, size in sizes.items()
    )


def is_steady(slots: pd.DataFrame, seconds: float, *, least: int, bar: int = _HOUR) -> bool:
    """Return whether bytes are sent in three quarters of a host's time, without a burst.

    Args:
        slots: See the module.
        seconds: How long the host was seen.
        least: Least number of bars with traffic.
        bar: Length of a bar in seconds, a multiple of ten minutes. No bar may have more than five
            times the median.
    """
    bars = slots.groupby(slots["slot"] // bar)["sent"].sum()
    enough = len(bars) >= max(least, 0.75 * seconds / bar)
    return bool(enough and bars.max() <= 5 * bars.median())


def is_workers_flow(slots: pd.DataFrame, seconds: float, large: float) -> bool:
    """Return whether a host seen for ``seconds`` sends steadily, less than ``large`` an hour.

    In hours; in slots of ten minutes, six at least, where it was seen for less than four hours.
    """
    if slots["sent"].sum() >= large * seconds / _HOUR:
        return False
    if seconds < 4 * _HOUR:
        return is_steady(slots, seconds, least=6, bar=SLOT)
    return is_steady(slots, seconds, least=4)


def is_in_backup_window(rows: pd.DataFrame, common: pd.DataFrame) -> np.ndarray:
    """Return which transfers are similar to those of three other hosts to a common destination.

    Similar transfers begin within half an hour of it, send at least as much and last at least half
    as long. ``rows`` and ``common``: host, peer, sent (bytes), first_seen, last_seen.
    """
    is_backup = []
    for row in rows.itertuples():
        others = common[(common["host"] != row.host) & (common["peer"] != row.peer)]
        others = others[(others["first_seen"] - row.first_seen).abs() <= _BACKUP_WINDOW]
        durations = others["last_seen"] - others["first_seen"]
        is_long = durations * 2 >= row.last_seen - row.first_seen
        similar = others[(others["sent"] >= row.sent) & is_long]
        is_backup.append(bool((similar.groupby("peer")["host"].nunique() >= _BACKUP_HOSTS).any()))
    return np.array(is_backup, bool)
