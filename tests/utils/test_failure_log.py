"""What fails is said once, and once when it works again, however it flickers."""

from __future__ import annotations

from microscaling.utils.failure_log import FailureLog


def test_a_failure_is_said_once_and_its_end_once():
    failure_log = FailureLog()
    assert [failure_log.failed(t) for t in (0, 1, 2, 100, 1000)] == [True, False, False, False, False]
    assert [failure_log.recovered(), failure_log.recovered()] == [True, False]


def test_what_never_failed_does_not_work_again():
    assert not FailureLog().recovered()


def test_the_next_failure_is_said_again():
    failure_log = FailureLog(quiet_s=30)
    said = [failure_log.failed(0), failure_log.recovered(), failure_log.failed(31), failure_log.recovered()]
    assert said == [True, True, True, True]


def test_what_flickers_does_not_fill_the_log():
    failure_log = FailureLog(quiet_s=30)
    said = [failure_log.failed(t) + failure_log.recovered() for t in range(3600)]
    assert sum(said) == 2 * 3600 / 30


def test_a_failure_that_begins_in_the_quiet_time_and_lasts_is_said_after_it():
    failure_log = FailureLog(quiet_s=30)
    failure_log.failed(0)
    failure_log.recovered()
    assert [t for t in range(5, 100) if failure_log.failed(t)] == [30]
    assert failure_log.recovered()


def test_another_cause_is_said_at_once():
    failure_log = FailureLog(quiet_s=30)
    causes = ["no answer yet", "refused", "refused", "refused"]
    assert [failure_log.failed(t, cause) for t, cause in enumerate(causes)] == [True, True, False, False]
    assert failure_log.recovered()


def test_a_cause_that_comes_back_waits_for_the_quiet_time():
    failure_log = FailureLog(quiet_s=30)
    said = [t for t in range(91) if failure_log.failed(t, "ab"[t % 2])]
    assert said == [0, 1, 30, 31, 60, 61, 90]


def test_no_more_causes_than_three_in_the_quiet_time():
    failure_log = FailureLog(quiet_s=30)
    assert [t for t in range(60) if failure_log.failed(t, str(t))] == [0, 1, 2, 30, 31, 32]
