"""What fails is said once, and once when it works again, however it flickers."""

from __future__ import annotations

from microscaling.utils.episode import Episode


def test_a_failure_is_said_once_and_its_end_once():
    episode = Episode()
    assert [episode.fails(t) for t in (0, 1, 2, 100, 1000)] == [True, False, False, False, False]
    assert [episode.works(), episode.works()] == [True, False]


def test_what_never_failed_does_not_work_again():
    assert not Episode().works()


def test_the_next_failure_is_said_again():
    episode = Episode(quiet_s=30)
    said = [episode.fails(0), episode.works(), episode.fails(31), episode.works()]
    assert said == [True, True, True, True]


def test_what_flickers_does_not_fill_the_log():
    episode = Episode(quiet_s=30)
    said = [episode.fails(t) + episode.works() for t in range(3600)]
    assert sum(said) == 2 * 3600 / 30


def test_a_failure_that_begins_in_the_quiet_time_and_lasts_is_said_after_it():
    episode = Episode(quiet_s=30)
    episode.fails(0)
    episode.works()
    assert [t for t in range(5, 100) if episode.fails(t)] == [30]
    assert episode.works()
