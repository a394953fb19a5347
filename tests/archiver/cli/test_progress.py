"""How far a long look is, in words: a rate, and the time that is left."""

from __future__ import annotations

import pytest

from archiver.cli.progress import how_far
from archiver.maintenance.verify import Verification
from tests.support.builders import House


@pytest.mark.parametrize(
    ("listed", "records", "chosen", "listing_s", "reading_s", "said"),
    [
        (0, 0, 0, 0, 0, "0 objects listed, 0/s"),
        (120_000, 0, 0, 4, 0, "120,000 objects listed, 30,000/s"),
        (120_000, 0, 60_000, 4, 0.5, "0 of 60,000 records, 0/s"),
        (120_000, 6_000, 60_000, 4, 6, "6,000 of 60,000 records, 1,000/s, 54 s left"),
        (2_000_000, 100_000, 1_000_000, 40, 100, "100,000 of 1,000,000 records, 1,000/s, 15 min left"),
        (2_000_000, 10_000, 1_000_000, 40, 100, "10,000 of 1,000,000 records, 100/s, 2 h 45 min left"),
        (2_000, 1_000, 1_000, 1, 10, "1,000 of 1,000 records, 100/s"),
    ],
)
def test_it_is_told_in_words(
    listed: int, records: int, chosen: int, listing_s: float, reading_s: float, said: str
) -> None:
    house = House()
    seen = Verification(house.store, house.clock.now(), grace=None, listed=listed, records=records, chosen=chosen)  # type: ignore[arg-type]

    assert how_far(seen, listing_s, reading_s) == said
