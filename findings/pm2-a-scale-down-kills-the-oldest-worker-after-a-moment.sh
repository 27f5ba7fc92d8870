#!/usr/bin/env bash
# PM2: `pm2 scale mail 1` takes the oldest worker, and kills it 1.6 s after SIGINT, whatever it works on.
#
# One would assume that the command ends the newest worker, or an idle one, and waits for it, as it does when it says that it is through;
# and that a worker that handles SIGTERM, as all container engines send it, ends in good order.
# The first of its list goes first. It gets SIGINT, not SIGTERM, and after kill_timeout, 1600 ms, SIGKILL; so does every process below
# it (treekill). The command ends with 0 and the list looks as it was asked for; that a job was cut off is in PM2's own log only.
# Each scale-down costs the job of the worker that has most likely the longest one. `docker stop` of a container with pm2-runtime is no
# better, as its own grace is longer than PM2's. Start them with --kill-timeout of more than the longest job, and handle SIGINT (or
# set PM2_KILL_SIGNAL). Seen with pm2 7.0.4 (lib/API.js: scale; lib/God/Methods.js: killProcess), Node 20. Needs Node and npm.
set -euo pipefail

dir=$(mktemp -d)
export PM2_HOME="$dir/home" PM2_DISCRETE_MODE=true
trap '"$dir/node_modules/.bin/pm2" kill >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" pm2@7.0.4 >/dev/null
cat >worker.cjs <<'JS'
const fs = require("node:fs");
const say = (what) => fs.appendFileSync(`journal-${process.env.name}`, `${what} ${process.pid}\n`);
for (const signal of ["SIGINT", "SIGTERM"])
  process.on(signal, () => {
    say(`told-${signal}`);
    setTimeout(() => { say("done"); process.exit(0); }, 5000); // the job takes 5 s more
  });
say("begun");
setInterval(() => {}, 1000);
JS
pm2() { node_modules/.bin/pm2 "$@" >>log 2>&1 || { cat log; exit 1; }; }
begun() { until [ "$(grep -c begun "journal-$1" 2>/dev/null)" = "$2" ]; do sleep 0.1; done; }
echo "pm2 $(node -p 'require("pm2/package.json").version'), Node $(node --version)"
seen=()
for name in plain patient; do
    pm2 start worker.cjs --name $name --instances 1 $([ $name = plain ] || echo --kill-timeout 60000)
    begun $name 1
    pm2 scale $name 2
    begun $name 2
    pm2 scale $name 1
    sleep 8
    told=$(sed -n 's/^told-//p' journal-$name)
    which=$([ "${told#* }" = "$(sed -n 's/begun //p;q' journal-$name)" ] && echo oldest || echo newest)
    seen+=("${told% *} $which $(grep -c done journal-$name || true)")
    echo "$name: the signal, who got it, and jobs that were done: ${seen[-1]}"
done
[ "${seen[*]}" = "SIGINT oldest 0 SIGINT oldest 1" ] || { echo "it does otherwise now"; exit 1; }
