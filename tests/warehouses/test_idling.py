from __future__ import annotations

from penstock.warehouses.idling import Idling, give_back


def test_memory_is_given_back_once_in_each_time_of_rest() -> None:
    now, given = [0.0], []
    idling = Idling(lambda: now[0], lambda: given.append(now[0]))
    for seconds, done in ((0.5, 100), (1.0, 0), (1.4, 0), (1.5, 0), (9.0, 0), (9.5, 1), (10.4, 0),
                          (10.5, 0), (20.0, 0)):  # fmt: skip
        now[0] = seconds
        idling(done)
    assert given == [1.5, 10.5]


def test_this_machine_takes_it_back() -> None:
    give_back()
