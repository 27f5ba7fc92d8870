"""Deployments scaled through the official library, against a fake that refuses what the real API server
refuses."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import yaml

pytest.importorskip("kubernetes", reason="the extra kubernetes is not installed")

from microscaling import factory
from microscaling.clients.kubernetes import client as kube_module
from microscaling.clients.kubernetes.client import Kube, Refused
from microscaling.config.file import FileConfig
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import ConfigError, PermanentError, TemporaryError
from microscaling.scheduler.kubernetes import orchestrator as kubernetes
from microscaling.scheduler.kubernetes import watch as kubernetes_watch
from microscaling.scheduler.kubernetes.lease_object import LeaseObject
from microscaling.scheduler.kubernetes.orchestrator import KubernetesOrchestrator
from microscaling.scheduler.replicas.orchestrator import Conflict, OrchestratorScheduler, Replicas
from microscaling.settings import Settings
from tests.fakes.kubernetes import ACCOUNT, MANIFEST, FakeKubernetes
from tests.fakes.kubernetes import Refused as Refusal
from tests.metric.nsqd import wait_for
from tests.pages import DOCS, blocks_of


@pytest.fixture
def fake():
    with FakeKubernetes() as fake:
        yield fake


@pytest.fixture
def config(fake, tmp_path):
    return fake.kubeconfig(tmp_path / "kubeconfig")


@pytest.fixture
def kube(config):
    kube = Kube(config, "default")
    yield kube
    kube.close()


@pytest.fixture
def orchestrator(kube):
    """Watching, with its news in `heard`; close it to end it."""
    made = KubernetesOrchestrator(kube)
    made.heard = []
    yield made
    made.close()


def begin(orchestrator, *names):
    """Lists once, and waits until the watch is open."""
    orchestrator.watch(lambda found: orchestrator.heard.append(dict(found)))
    found = orchestrator.read(names)
    wait_for(lambda: orchestrator.watcher.is_open)
    return found


@contextmanager
def running(kube, **demands):
    """A scheduler with its demands; counts as often as the agent."""
    tasks = Tasks([Task(name, priority=i) for i, name in enumerate(demands)], 20)
    scheduler = OrchestratorScheduler(KubernetesOrchestrator(kube))
    for task in tasks.tasks:
        scheduler.init_scheduler(task)
    scheduler.count_all_tasks(tasks)
    stop = threading.Event()
    run = SimpleNamespace(tasks=tasks, scheduler=scheduler, demands=demands, counts=0)

    def count():
        while not stop.wait(0.05):
            with tasks:
                for task in tasks.tasks:
                    task.demand = task.demand if task.backing_off else demands[task.name]
            try:
                scheduler.count_all_tasks(tasks)
                scheduler.stop_start_tasks(tasks)
            except TemporaryError as error:
                logging.getLogger("test").debug("%s", error)
            run.counts += 1

    thread = threading.Thread(target=count, name="counting")
    thread.start()
    try:
        yield run
    finally:
        stop.set()
        thread.join()
        scheduler.cleanup()


def state(run, name="web"):
    with run.tasks as tasks:
        task = tasks.get_task(name)
        return task.requested, task.running


# Listing and scaling


def test_lists_in_pages(fake, kube, monkeypatch):
    monkeypatch.setattr(kube_module, "PAGE", 2)
    for i in range(5):
        fake.cluster.add(f"web-{i}", i)
    items, version = kube.deployments()
    assert [item["spec"]["replicas"] for item in items] == [0, 1, 2, 3, 4]
    assert (int(version), fake.verbs()) == (fake.cluster.version, ["list"] * 3)


def test_one_deployment(fake, kube):
    fake.cluster.add("web", 2)
    assert kube.deployment("web")["spec"]["replicas"] == 2
    with pytest.raises(Refused, match='has no deployment "nope"'):
        kube.deployment("nope")


def test_scales(fake, kube):
    fake.cluster.add("web", 2)
    assert kube.scale("web", 5)["spec"]["replicas"] == 5
    assert kube.scale("web", 0)["spec"] == {}
    assert fake.cluster.get("default", "web")["spec"]["replicas"] == 0


STATUSES = [
    (401, "Unauthorized", Conflict),
    (403, "Forbidden", PermanentError),
    (404, "NotFound", PermanentError),
    (409, "Conflict", Conflict),
    (422, "Invalid", PermanentError),
    (429, "TooManyRequests", Conflict),
    (500, "InternalError", TemporaryError),
    (503, "ServiceUnavailable", TemporaryError),
    (504, "Timeout", TemporaryError),
]


@pytest.mark.parametrize(("code", "reason", "kind"), STATUSES)
def test_what_a_refusal_means(fake, orchestrator, code, reason, kind):
    fake.cluster.add("web")
    refusal = Refusal(code, reason, "because", retryAfterSeconds=7)
    fake.refuse += [("patch", refusal)] * 2
    with pytest.raises(kind, match="because" if code != 401 else "token has expired") as caught:
        orchestrator.scale("web", 1)
    assert isinstance(caught.value, Conflict) == (kind is Conflict)
    assert getattr(caught.value, "delay_s", 7) == 7


def test_conflicts_are_tried_again_until_they_are_over(fake, kube):
    fake.cluster.add("web", 1)
    fake.refuse += [("patch", Refusal(409, "Conflict", "the object has been modified"))] * 3
    with running(kube, web=4) as run:
        wait_for(lambda: state(run) == (4, 4))
    assert [code for verb, _, code in fake.asked if verb == "patch"] == [409, 409, 409, 200]


# Watching


def test_the_watch_tells_what_runs_without_listing(fake, orchestrator):
    fake.cluster.add("web", 1)
    fake.cluster.add("other", 1)
    assert begin(orchestrator, "web") == {"web": Replicas(1, 1)}
    fake.cluster.scale("other", 5)
    fake.cluster.scale("web", 3)
    wait_for(lambda: orchestrator.read(["web"]) == {"web": Replicas(3, 3)})
    wait_for(lambda: orchestrator.heard[-1:] == [{"web": Replicas(3, 3)}])  # a moment later
    assert orchestrator.heard[0] == {"web": Replicas(3, 1)}
    assert fake.verbs().count("list") == 1


def test_a_deployment_that_is_deleted_and_made_anew(fake, orchestrator):
    fake.cluster.add("web", 1)
    begin(orchestrator, "web")
    fake.cluster.delete("web")
    wait_for(lambda: orchestrator.read(["web"]) == {"web": None})
    fake.cluster.add("web", 2)
    wait_for(lambda: orchestrator.read(["web"]) == {"web": Replicas(2, 2)})
    assert fake.verbs().count("list") == 1


def test_a_watch_that_the_server_ends_goes_on_where_it_was(fake, orchestrator, monkeypatch):
    monkeypatch.setattr(kube_module, "WATCH_S", 1)
    fake.cluster.add("web", 1)
    begin(orchestrator, "web")
    wait_for(lambda: fake.verbs().count("watch") >= 3)
    fake.cluster.scale("web", 3)
    wait_for(lambda: orchestrator.heard and orchestrator.heard[-1] == {"web": Replicas(3, 3)})
    assert fake.verbs().count("list") == 1


def test_what_is_gone_is_listed_anew(fake, orchestrator, monkeypatch):
    monkeypatch.setattr(fake, "bookmark_every_s", 60)
    fake.cluster.add("web", 1)
    begin(orchestrator, "web")
    fake.cluster.add("web-2")
    wait_for(lambda: orchestrator.watcher.position == fake.cluster.version)
    fake.cluster.compact()
    orchestrator.watcher.version = "100"
    orchestrator.watcher._watch.end()  # as if the connection broke
    wait_for(lambda: fake.verbs().count("watch") == 2)
    wait_for(lambda: orchestrator.read(["web"]) and fake.verbs().count("watch") == 3)
    fake.cluster.scale("web", 2)
    wait_for(lambda: orchestrator.heard and orchestrator.heard[-1] == {"web": Replicas(2, 2)})


def test_bookmarks_keep_a_quiet_watch_from_being_gone(fake, orchestrator):
    fake.cluster.add("web", 1)
    begin(orchestrator, "web")
    fake.cluster.add("far-away", namespace="elsewhere")
    wait_for(lambda: orchestrator.watcher.position == fake.cluster.version)
    fake.cluster.compact()
    orchestrator.watcher._watch.end()
    wait_for(lambda: fake.verbs().count("watch") == 2)
    fake.cluster.scale("web", 2)
    wait_for(lambda: orchestrator.heard and orchestrator.heard[-1] == {"web": Replicas(2, 2)})
    assert fake.verbs().count("list") == 1


def test_a_watch_that_is_open_but_deaf_is_replaced(fake, orchestrator, monkeypatch, caplog):
    monkeypatch.setattr(kubernetes, "BEHIND_S", 0.2)
    fake.cluster.add("web", 1)
    begin(orchestrator, "web")
    fake.deaf = True
    orchestrator.scale("web", 2)
    wait_for(lambda: orchestrator.read(["web"]) and fake.verbs().count("watch") >= 2)
    fake.deaf = False
    wait_for(lambda: orchestrator.read(["web"]) == {"web": Replicas(2, 2)})
    assert "the watch of the deployments is silent: connecting anew" in caplog.messages


def test_a_watch_that_is_not_allowed_is_replaced_by_listing(fake, kube):
    fake.rules = [{**rule, "verbs": [v for v in rule["verbs"] if v != "watch"]} for rule in fake.rules]
    fake.cluster.add("web", 1)
    with running(kube, web=3) as run:
        wait_for(lambda: state(run) == (3, 3))
    assert fake.verbs().count("list") >= 3


def test_a_cluster_that_is_restored_from_a_backup(fake, kube, monkeypatch, caplog):
    monkeypatch.setattr(kubernetes, "LIST_EVERY_S", 0.2)
    fake.cluster.version = fake.cluster.floor = 5000
    fake.cluster.add("web", 3)
    with running(kube, web=3) as run:
        wait_for(lambda: fake.watches == 1)
        with fake.cluster.lock:
            fake.cluster.deployments["default", "web"].item["spec"]["replicas"] = 1
            fake.cluster.restore(200)
        wait_for(lambda: "versions have gone back" in caplog.text)
        wait_for(lambda: fake.cluster.get("default", "web")["spec"]["replicas"] == 3)
        wait_for(lambda: state(run) == (3, 3))


def test_listings_are_rare_while_the_watch_is_open(fake, kube):
    fake.cluster.add("web", 1)
    with running(kube, web=1) as run:
        wait_for(lambda: run.scheduler.orchestrator.watcher.is_open)
        # A count that has begun before that may list once more.
        counts = run.counts
        wait_for(lambda: run.counts >= counts + 2)
        before = fake.verbs().count("list")
        time.sleep(1.0)
        assert fake.verbs().count("list") == before


@pytest.mark.parametrize("moment", ["opening", "open"])
def test_close_ends_the_watch_at_once(fake, kube, moment, monkeypatch):
    monkeypatch.setattr(kubernetes, "JOIN_S", 30.0)  # half a second may be too short for a busy machine
    orchestrator = KubernetesOrchestrator(kube)
    orchestrator.heard = []
    if moment == "opening":
        monkeypatch.setattr(kubernetes_watch.Watcher, "start_from", lambda *_: None)
        orchestrator.watch(lambda found: None)
    else:
        begin(orchestrator, "web")
    orchestrator.close()
    assert not orchestrator.watcher.is_alive()


# What is missing, forbidden, expired


def test_a_deployment_that_is_missing_is_waited_for(fake, kube, caplog):
    caplog.set_level(logging.INFO, "mssscheduler")
    fake.cluster.add("batch", 2)
    with running(kube, web=3, batch=4) as run:
        wait_for(lambda: state(run, "batch") == (4, 4))
        time.sleep(0.5)
        said = [m for m in caplog.messages if m.startswith("web: ")]
        assert said == [
            f"web: namespace default of Kubernetes at {fake.url} has no deployment web; waiting for it, "
            "as the agent creates none"
        ]
        fake.cluster.add("web", 1)
        wait_for(lambda: state(run) == (3, 3))


def test_what_the_role_does_not_allow_is_said_once(fake, kube, caplog):
    fake.rules = [rule for rule in fake.rules if "patch" not in rule["verbs"]]
    fake.cluster.add("web", 1)
    with running(kube, web=3) as run:
        wait_for(lambda: run.tasks.get_task("web").backing_off)
        wait_for(lambda: fake.verbs().count("patch") >= 2)
    assert [m for m in caplog.messages if "forbidden" in m] == [
        f'web: deployments.apps "web" is forbidden: User "{ACCOUNT}" cannot patch resource '
        '"deployments/scale" in API group "apps" in the namespace "default": '
        "the Role of deploy/kubernetes.yaml has the necessary rights"
    ]


def test_at_the_start_a_list_that_is_forbidden_ends_it(fake, orchestrator):
    fake.rules = []
    with pytest.raises(PermanentError, match=r'cannot list resource "deployments".* Role of deploy'):
        orchestrator.read(["web"])


def test_the_manifest_allows_no_more_than_is_used(fake, kube):
    fake.cluster.add("web", 1)
    with running(kube, web=3) as run:
        wait_for(lambda: state(run) == (3, 3) and fake.watches)
    store = LeaseObject(kube, "shop")
    for _ in range(2):
        assert store.write(store.read(time.monotonic() + 30.0), "me", time.monotonic() + 30.0)
    what = {"scale": "deployments/scale", "microscaling-shop": "leases"}
    used = {(verb, what.get(last := path.rpartition("/")[2], last)) for verb, path, _ in fake.asked}
    allowed = {(verb, what) for rule in fake.rules for verb in rule["verbs"] for what in rule["resources"]}
    assert used == allowed


def test_the_docs_show_the_role_of_the_manifest(fake):
    (role,) = [b for b in blocks_of(DOCS / "schedulers.md", "yaml") if b.text.startswith("apiVersion: rbac")]
    assert yaml.safe_load(role.text)["rules"] == fake.rules


def test_the_configuration_in_the_manifest_is_good(tmp_path, caplog):
    maps = [o for o in yaml.safe_load_all(MANIFEST.read_text()) if o["kind"] == "ConfigMap"]
    path = tmp_path / "tasks.yaml"
    path.write_text(maps[0]["data"]["tasks.yaml"])
    tasks, cap = FileConfig(Settings(config_file=str(path))).get_apps("")
    assert ([task.name for task in tasks], cap, caplog.messages) == (["web", "batch"], 10, [])


def test_a_token_that_has_expired_is_read_anew(fake, config, kube, tmp_path):
    fake.cluster.add("web", 1)
    kube.deployments()
    fake.tokens = {"fresh": (ACCOUNT, float("inf"))}
    with pytest.raises(Refused, match=r"HTTP 401\), as when a token has expired: log in again") as caught:
        kube.deployments()
    assert config in str(caught.value)
    fake.kubeconfig(tmp_path / "kubeconfig", token="fresh")
    kube._renewed = float("-inf")  # as if some seconds had passed
    assert kube.deployments()[0]


def test_credentials_that_are_no_good_are_not_read_again_and_again(fake, kube, monkeypatch):
    reads = []
    log_in = kube_module.log_in
    monkeypatch.setattr(kube_module, "log_in", lambda path: reads.append(path) or log_in(path))
    fake.tokens = {}
    for _ in range(5):
        with pytest.raises(Refused):
            kube.deployments()
    assert len(reads) == 1


@pytest.fixture
def in_cluster(certificate, tmp_path, monkeypatch):
    """As in a pod: a fake that speaks TLS, and the files of a service account."""
    from kubernetes.config import incluster_config

    token = tmp_path / "token"
    token.write_text("good")
    with FakeKubernetes(certificate=certificate) as fake:
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificate[0]))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(fake.port))
        yield SimpleNamespace(fake=fake, token=token)


def test_in_a_cluster_the_token_is_rotated_under_a_running_agent(in_cluster):
    fake = in_cluster.fake
    fake.cluster.add("web", 1)
    kube = Kube("", "default")
    with running(kube, web=3) as run:
        wait_for(lambda: state(run) == (3, 3) and fake.watches)
        in_cluster.token.write_text("rotated")
        fake.tokens = {"rotated": (ACCOUNT, float("inf"))}
        run.demands["web"] = 5
        wait_for(lambda: state(run) == (5, 5))


def test_in_a_cluster_the_message_names_the_service_account(in_cluster):
    in_cluster.fake.tokens = {}
    kube = Kube("", "default")
    with pytest.raises(Refused, match=f"{in_cluster.token.parent}: see whether its service account still"):
        kube.deployments()
    kube.close()


# Settings and names


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "file is empty"),
        ("{", "while parsing"),
        ("[1, 2]", ""),
        ('{"clusters": []}', "Expected key current-context"),
    ],
)
def test_a_bad_kubeconfig_is_named(text, problem, tmp_path):
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        factory.make_scheduler(Settings(scheduler="KUBERNETES", kube_config=str(path)), {})
    assert str(caught.value).startswith(f"MSS_KUBE_CONFIG: {path}: ")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_outside_of_a_cluster_a_kubeconfig_is_asked_for(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigError, match=r"^MSS_KUBE_CONFIG: is empty, .* set it to the path of a kubeconf"):
        factory.make_scheduler(Settings(scheduler="KUBERNETES"), {})


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    for name in ("client", "login"):
        monkeypatch.delitem(sys.modules, f"microscaling.clients.kubernetes.{name}", raising=False)
    monkeypatch.delitem(sys.modules, "microscaling.scheduler.kubernetes.orchestrator", raising=False)
    with pytest.raises(ConfigError, match=r"pip install '\.\[kubernetes\]' in the clone"):
        factory.make_scheduler(Settings(scheduler="KUBERNETES"), {})


@pytest.mark.parametrize("name", ["My_App", "-a", "a-", "", "a..b", "x" * 254, "a/b", "ä"])
def test_a_name_that_no_deployment_can_have(orchestrator, name):
    with pytest.raises(PermanentError, match="cannot be the name of a deployment"):
        orchestrator.prepare(Task(name))


@pytest.mark.parametrize("name", ["web", "0", "a-1.b-2", "x" * 253])
def test_a_name_that_a_deployment_can_have(orchestrator, name):
    orchestrator.prepare(Task(name))


def test_a_dry_run_lists_and_leaves_nothing_open(fake, config):
    settings = Settings(scheduler="KUBERNETES", kube_config=config, dry_run=True)
    fake.cluster.add("web", 2)
    tasks = Tasks([Task("web")], 10)
    scheduler = factory.make_scheduler(settings, {})
    scheduler.count_all_tasks(tasks)
    tasks.tasks[0].demand = 5
    scheduler.stop_start_tasks(tasks)
    scheduler.cleanup()
    assert (fake.cluster.get("default", "web")["spec"]["replicas"], "patch" in fake.verbs()) == (2, False)


def test_nothing_secret_is_logged(fake, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    fake.cluster.add("web", 1)
    kube = Kube(fake.kubeconfig(tmp_path / "secret", token="hunter22hunter22"), "default")
    with pytest.raises(Refused) as caught:
        kube.deployments()
    kube.close()
    assert "hunter22" not in caplog.text + str(caught.value) + json.dumps([str(caught.value)])
