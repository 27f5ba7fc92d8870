#!/usr/bin/env bash
# Prometheus: max_over_time(sum(x)[30s:]) has no result in one half of each minute, and one sample of it in the other.
#
# One would assume that "[30s:]" behind a sum looks at the last 30 s of it, as "[30s]" does behind a series, at the samples that were
# scraped, one a second here; what is left out behind the colon is then whatever fits.
# Left out, the step is the server's evaluation_interval (a minute, unless the file says otherwise), whatever the scrape interval is;
# and the steps are whole minutes of the clock, not counted from now. From hh:mm:30 to hh:mm:59 no step is in the window: no data. Until
# then there is one, and the "maximum" is the value of that moment. With [2m:] there is always an answer, of two samples.
# An autoscaler that wants the peak of the last half minute, so as not to scale down too early, has an error or nothing for 30 s of each
# minute, and sees no peak that lies between; with a default for "no data" (`or vector(0)`) it scales down to nothing every minute. Write the
# step: [30s:1s]. Documented as "default is the global evaluation interval". Seen with Prometheus 2.42.0 (Debian 12; promql/engine.go,
# SubqueryExpr). Needs Prometheus and curl.
set -euo pipefail

command -v promtool >/dev/null || { echo "needs prometheus"; exit 77; }
dir=$(mktemp -d)
pid=
trap '{ kill $pid; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
minute=$((($(date +%s) / 60 - 60) * 60)) # an hour ago, a whole one
python3 - "$minute" >samples <<'PY'
import sys
minute = int(sys.argv[1])
print("# TYPE jobs_waiting gauge")
for second in range(minute - 60, minute + 60):  # one a second, with a peak of three seconds in each half of a minute
    print("jobs_waiting", 900 if 10 <= second % 30 < 13 else 7, second)
print("# EOF")
PY
prometheus --version 2>&1 | head -1
promtool tsdb create-blocks-from openmetrics samples data >log 2>&1
printf 'global: {scrape_interval: 1s}\n' >file.yml
own=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus --config.file=file.yml --storage.tsdb.path=data --web.listen-address="127.0.0.1:$own" 2>>log &
pid=$!
until curl -sf "http://127.0.0.1:$own/-/ready" >ready; do kill -0 $pid || { tail log; exit 1; }; sleep 0.2; done
ask() { # QUERY SECOND
    curl -sS "http://127.0.0.1:$own/api/v1/query" --data-urlencode "query=$1" -d "time=$((minute + $2))" |
        sed -n 's/.*"value":\[[^,]*,"\([^"]*\)".*/\1/p'
}
for query in 'max_over_time(jobs_waiting[30s])' 'max_over_time(sum(jobs_waiting)[30s:])' 'max_over_time(sum(jobs_waiting)[30s:1s])'; do
    seen=()
    for second in 5 15 25 35 45 55; do answer=$(ask "$query" $second); seen+=("${answer:-none}"); done
    echo "at :05 :15 :25 :35 :45 :55  ${seen[*]}  $query"
    all+=("${seen[*]}")
done
high="900 900 900 900 900 900"
[ "${all[0]}/${all[1]}/${all[2]}" = "$high/7 7 7 none none none/$high" ] || { echo "it does otherwise now"; exit 1; }
