"""The newest that is known of deployments, whatever the order in which it comes."""

from __future__ import annotations

import pytest

from microscaling.errors import TemporaryError
from microscaling.scheduler.kubernetes.view import View, known_of
from microscaling.scheduler.replicas.orchestrator import Replicas


def deployment(version, replicas=1, available=0, name="web"):
    status = {"availableReplicas": available} if available else {}
    about = {"name": name, "resourceVersion": str(version)}
    return {"metadata": about, "spec": {"replicas": replicas}, "status": status}


def scale(version, replicas):
    spec = {"replicas": replicas} if replicas else {}
    return {"metadata": {"name": "web", "resourceVersion": str(version)}, "spec": spec}


def view_of(*items, version="10"):
    view = View()
    view.names = frozenset({"web", "batch"})
    view.listed(items, version, None)
    return view


def web(view):
    return view.found(["web"])["web"]


def test_only_deployments_of_ours_count():
    view = view_of(deployment(5, 2, 1), deployment(7, 9, 9, "other"))
    assert view.found(["web", "batch"]) == {"web": Replicas(2, 1), "batch": None}
    assert view.changed(deployment(12, 8, 8, "other"), deleted=False) == ""
    assert view.newest == 5


@pytest.mark.parametrize(
    ("news", "expected"),
    [
        (lambda v: v.changed(deployment(12, 3, 2), False), Replicas(3, 2)),
        (lambda v: v.changed(deployment(11, 3, 2), False), Replicas(3, 2)),  # of the same version
        (lambda v: v.changed(deployment(9, 3, 2), False), Replicas(2, 1)),
        (lambda v: v.changed(deployment(12), True), None),
        (lambda v: v.changed(deployment(9), True), Replicas(2, 1)),
        (lambda v: v.scaled(scale(12, 5)), Replicas(5, 1)),
        (lambda v: v.scaled(scale(12, 0)), Replicas(0, 1)),  # what is 0 is left out
        (lambda v: v.scaled(scale(9, 5)), Replicas(2, 1)),
        (lambda v: v.listed([deployment(12, 4, 4)], "13", 11), Replicas(4, 4)),
        (lambda v: v.listed([deployment(11, 2, 1)], "13", 11), Replicas(2, 1)),
        (lambda v: v.listed([], "13", 11), None),
        (lambda v: v.listed([], "10", None), Replicas(2, 1)),  # asked for before version 11 was heard of
    ],
)
def test_the_newest_counts(news, expected):
    view = view_of(deployment(11, 2, 1), version="11")
    news(view)
    assert web(view) == expected


def test_news_is_what_differs():
    view = view_of(deployment(11, 2, 1))
    assert view.changed(deployment(11, 2, 1), False) == ""
    assert view.changed(deployment(12, 2, 2), False) == "web"


def test_an_answer_to_scale_keeps_older_events_back():
    view = view_of(deployment(11, 2, 2))
    view.scaled(scale(14, 5))
    assert view.changed(deployment(12, 2, 1), False) == ""
    assert web(view) == Replicas(5, 2)
    assert view.newest == 14


def test_a_cluster_that_was_restored_is_believed():
    view = view_of(deployment(1000, 8, 8), version="1000")
    assert view.listed([deployment(50, 2, 2)], "60", view.newest)
    assert (web(view), view.newest) == (Replicas(2, 2), 50)


def test_versions_that_are_no_numbers_are_believed_in_order():
    view = view_of(deployment("b-11", 2, 2), version="b-11")
    view.changed(deployment("a-12", 3, 2), False)
    assert (web(view), view.newest) == (Replicas(3, 2), None)


def test_replicas_left_out_are_one():
    item = deployment(1)
    del item["spec"]["replicas"], item["status"]
    assert known_of(item).count == Replicas(1, 0)


@pytest.mark.parametrize("replicas", [-1, 1.5, "3", True, [1]])
def test_a_number_of_replicas_that_cannot_be(replicas):
    with pytest.raises(TemporaryError, match="replicas of a deployment"):
        known_of(deployment(1, replicas))
