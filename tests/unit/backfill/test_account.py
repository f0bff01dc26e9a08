from marketstream.backfill.account import Hole, holes_of
from marketstream.market.counted import Run
from marketstream.market.ledger import Ledger
from marketstream.market.progress import Progress


def ledger(*runs: Run) -> Ledger:
    return Ledger(Progress(counted=runs), max_id_jump=1_000, max_holes=100)


def test_holes_come_newest_first_with_the_times_of_the_trades_around_them() -> None:
    account = ledger(Run(1, 3, 10, 30), Run(5, 5, 50, 55), Run(9, 9, 90, 95))
    assert holes_of(account) == [Hole(6, 8, 55, 90), Hole(4, 4, 30, 50)]


def test_holes_given_up_and_jumps_of_ids_are_left_out() -> None:
    account = ledger(Run(1, 3, 10, 30), Run(5, 5, 50, 55), Run(9, 9, 90, 95), Run(5_000, 5_000, 200, 200))
    account.give_up(4, 4)
    assert holes_of(account) == [Hole(6, 8, 55, 90)]
