"""What becomes of a partial whose windows were removed: the finest sealed rollup says it."""

import pytest
from sensorpipe_server.storage.rollups.late_partials import LateOutcome, RollupCheck, decide
from sensorpipe_server.storage.rollups.levels import DAY, FIVE_MINUTES, HOUR

HOLDS = RollupCheck(is_sealed=True, holds=True)
LACKS = RollupCheck(is_sealed=True, holds=False)
TOO_LARGE = RollupCheck(is_sealed=True, holds=None)
OPEN = RollupCheck(is_sealed=False, holds=True)


@pytest.mark.parametrize(
    ("finest", "found", "said"),
    [
        (FIVE_MINUTES, {}, (None, FIVE_MINUTES, ())),
        (FIVE_MINUTES, {FIVE_MINUTES: OPEN}, (None, FIVE_MINUTES, ())),
        (HOUR, {FIVE_MINUTES: HOLDS}, (None, HOUR, ())),
        (FIVE_MINUTES, {FIVE_MINUTES: LACKS, HOUR: OPEN}, (LateOutcome.REFUSED, FIVE_MINUTES, ())),
        (
            FIVE_MINUTES,
            {FIVE_MINUTES: HOLDS, HOUR: OPEN, DAY: OPEN},
            (LateOutcome.COUNTED, FIVE_MINUTES, ()),
        ),
        (FIVE_MINUTES, {FIVE_MINUTES: HOLDS}, (LateOutcome.COUNTED, FIVE_MINUTES, (HOUR, DAY))),
        (
            FIVE_MINUTES,
            {FIVE_MINUTES: HOLDS, HOUR: LACKS, DAY: TOO_LARGE},
            (LateOutcome.COUNTED, FIVE_MINUTES, (HOUR,)),
        ),
        (DAY, {DAY: HOLDS}, (LateOutcome.COUNTED, DAY, ())),
        (FIVE_MINUTES, {FIVE_MINUTES: TOO_LARGE}, (LateOutcome.KEPT, FIVE_MINUTES, ())),
        (HOUR, {HOUR: TOO_LARGE}, (None, FIVE_MINUTES, ())),
        (HOUR, {HOUR: TOO_LARGE, FIVE_MINUTES: LACKS}, (LateOutcome.REFUSED, FIVE_MINUTES, ())),
        (HOUR, {HOUR: TOO_LARGE, FIVE_MINUTES: TOO_LARGE}, (LateOutcome.KEPT, FIVE_MINUTES, ())),
    ],
)
def test_the_finest_sealed_rollup_decides(finest, found, said):
    assert tuple(decide(finest, found)) == said
