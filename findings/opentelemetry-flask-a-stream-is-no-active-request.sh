#!/usr/bin/env bash
# OpenTelemetry for Flask: a request that streams its answer is not active from its first byte on: 3 streams are 0 active requests.
#
# One would assume that http.server.active_requests counts requests until they are answered in full, as its definition has it
# (requests in flight), and that it is the number by which one scales workers that answer slowly.
# It is counted up before the view is called, and down as soon as the response object is there; the generator that makes the
# body runs after that. Downloads, server-sent events and answers of language models, the requests that hold a worker for the longest
# time, count only until they begin. A view that computes for as long, and then answers, counts in full.
# An autoscaler that reads it takes a container away whose workers are all busy, and adds none while new requests wait. Count in the
# server (gunicorn's or the proxy's connections), or wrap the WSGI application and count down in the iterable's close().
# Seen with opentelemetry-instrumentation-flask 0.65b0 (_rewrapped_app), opentelemetry-sdk 1.44.0, Flask 3.1.3.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check opentelemetry-sdk==1.44.0 opentelemetry-instrumentation-flask==0.65b0 flask==3.1.3
cat >"$dir/look.py" <<'PY'
import importlib.metadata, logging, threading, time, urllib.request

from flask import Flask, Response
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)
app, reader, enough, begun = Flask("shop"), InMemoryMetricReader(), threading.Event(), []
FlaskInstrumentor().instrument_app(app, meter_provider=MeterProvider([reader]))


def work():
    begun.append(1)
    yield "some"
    enough.wait(60)
    yield "more"


app.add_url_rule("/whole", "whole", lambda: "".join(work()))
app.add_url_rule("/stream", "stream", lambda: Response(work()))
seen, server = [], make_server("127.0.0.1", 0, app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
for path in ("/whole", "/stream"):
    begun.clear()
    enough.clear()
    threads = [threading.Thread(target=lambda: urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}").read()) for _ in range(3)]
    [thread.start() for thread in threads]
    while len(begun) < 3:
        time.sleep(0.1)
    time.sleep(1)
    metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    active = sum(point.value for metric in metrics if metric.name == "http.server.active_requests" for point in metric.data.data_points)
    print(f"3 requests for {path} are worked on: {active} active requests")
    seen.append(active)
    enough.set()
    [thread.join() for thread in threads]
print("opentelemetry-instrumentation-flask", importlib.metadata.version("opentelemetry-instrumentation-flask"))
assert seen == [3, 0], "it counts streams now"
PY
"$dir/venv/bin/python" "$dir/look.py"
