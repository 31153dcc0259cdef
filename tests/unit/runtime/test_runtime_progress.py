"""Something that waits and neither moves nor is tried for a minute is a stall."""

from sensorpipe_runtime.liveness import Progress


class Work:
    """A clock, whether something waits, and the progress of both."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.waits = False
        self.progress = Progress(lambda: self.waits, clock=lambda: self.now)


def test_nothing_to_do_is_no_stall_however_long():
    work = Work()
    assert work.progress.is_made()
    work.now += 10_000
    assert work.progress.is_made()


def test_a_minute_counts_from_when_something_began_to_wait():
    work = Work()
    work.now += 10_000
    work.waits = True
    assert work.progress.is_made()
    work.now += 59.9
    assert work.progress.is_made()
    work.now += 0.1
    assert not work.progress.is_made()


def test_a_move_or_an_attempt_begins_the_minute_again():
    work = Work()
    work.waits = True
    for _ in range(5):
        assert work.progress.is_made()
        work.now += 59
        work.progress.moved()
    work.now += 60
    assert not work.progress.is_made()
    work.progress.moved()
    assert work.progress.is_made()


def test_what_no_longer_waits_is_forgotten():
    work = Work()
    work.waits = True
    work.progress.look()
    work.now += 50
    work.waits = False
    work.progress.look()
    work.waits = True
    work.now += 50
    assert work.progress.is_made()
    work.now += 59
    assert work.progress.is_made()


def test_another_bound_is_taken():
    now = 0.0
    progress = Progress(lambda: True, stalled_after=5, clock=lambda: now)
    progress.look()
    now = 5.0
    assert not progress.is_made()


def test_another_position_at_a_look_is_a_move():
    now, done = 0.0, 0
    progress = Progress(lambda: True, position=lambda: done, clock=lambda: now)
    assert progress.is_made()
    for _ in range(3):
        now, done = now + 59, done + 1
        assert progress.is_made()
    now += 60
    assert not progress.is_made()
    done += 1
    assert progress.is_made()
