"""What fails is said once, and once when it works again, however it flickers."""

from __future__ import annotations

from microscaling.utils.failure_log import Episode


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


def test_another_cause_is_said_at_once():
    episode = Episode(quiet_s=30)
    causes = ["no answer yet", "refused", "refused", "refused"]
    assert [episode.fails(t, cause) for t, cause in enumerate(causes)] == [True, True, False, False]
    assert episode.works()


def test_a_cause_that_comes_back_waits_for_the_quiet_time():
    episode = Episode(quiet_s=30)
    said = [t for t in range(91) if episode.fails(t, "ab"[t % 2])]
    assert said == [0, 1, 30, 31, 60, 61, 90]


def test_no_more_causes_than_three_in_the_quiet_time():
    episode = Episode(quiet_s=30)
    assert [t for t in range(60) if episode.fails(t, str(t))] == [0, 1, 2, 30, 31, 32]
