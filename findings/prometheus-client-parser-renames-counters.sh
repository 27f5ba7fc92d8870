#!/usr/bin/env bash
# prometheus_client: its parser of the text format gives a counter another name than the exporter wrote.
#
# One would assume that the parser of Prometheus' text format hands on the names of the samples: an exporter that says
# `jobs_waiting 7` has a sample jobs_waiting, whatever its TYPE line calls it, and that is what Prometheus itself stores.
# With "# TYPE jobs_waiting counter" (many exporters type what only they count as counters) the sample is called
# jobs_waiting_total: the parser turns it into OpenMetrics' form. With "gauge" or no TYPE line the name stays.
# An autoscaler that reads an exporter directly, by the name that the user sees in curl and in PromQL, finds nothing;
# what it finds changes when the exporter's author mends a TYPE line.
# Seen with prometheus_client 0.25.0 (prometheus_client/parser.py).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check prometheus_client==0.25.0

"$dir/venv/bin/python" - <<'PY'
import importlib.metadata

from prometheus_client.parser import text_string_to_metric_families

print("prometheus_client", importlib.metadata.version("prometheus_client"))
names = {}
for kind in ("counter", "gauge", "untyped", None):
    head = f"# TYPE jobs_waiting {kind}\n" if kind else ""
    families = text_string_to_metric_families(head + 'jobs_waiting{queue="mail"} 7\n')
    names[kind] = [sample.name for family in families for sample in family.samples]
    print(f"{str(kind):8} jobs_waiting is read as {names[kind]}")
assert names.pop("counter") == ["jobs_waiting_total"], "a counter keeps its name now"
assert set(map(tuple, names.values())) == {("jobs_waiting",)}, "others are renamed now"
PY
