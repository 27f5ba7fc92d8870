#!/usr/bin/env bash
# PM2: `pm2 scale mail 0` deletes the application, so that it cannot be scaled up again; and a scale counts stopped workers as there.
#
# One would assume that a scale to 0 and later to 2 is what a scale from 2 to 4 is: the application stays known, with its command and
# settings, and has as many workers as were asked for.
# With its last worker the application leaves the list: each later scale ends with "Application mail not found", exit code 1, and
# nothing is known of it by its name. The other way to have none, `pm2 stop mail`, keeps it, but then `pm2 scale mail 2` counts what
# is stopped: "Nothing to do", exit code 1, and none works; `pm2 scale mail 3` starts one, where three were asked for.
# An autoscaler that goes to nothing by night needs `pm2 start` with the whole configuration in the morning, and its backlog
# waits until someone sees that. Stop and start by ids instead. Seen with pm2 7.0.4 (lib/API.js: scale), Node 20. Needs Node and npm.
set -euo pipefail

dir=$(mktemp -d)
export PM2_HOME="$dir/home" PM2_DISCRETE_MODE=true
trap '"$dir/node_modules/.bin/pm2" kill >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" pm2@7.0.4 >/dev/null
echo 'setInterval(() => {}, 1000);' >worker.cjs
pm2() { # COMMAND...: says what it does, its exit code, and what is there then
    local code=0
    node_modules/.bin/pm2 "$@" >log 2>&1 || code=$?
    sleep 1
    node_modules/.bin/pm2 prettylist >list 2>/dev/null
    local there="$(grep -c "status: 'online'" list || true) online, $(grep -c "status: 'stopped'" list || true) stopped"
    printf '%-36s exit %s, %s; %s\n' "pm2 $*" "$code" "$there" "$(grep -oE 'Nothing to do|Application [a-z]+ not found' log | head -1)"
    seen+=("$code: $there")
}
seen=()
echo "pm2 $(node -p 'require("pm2/package.json").version'), Node $(node --version)"
pm2 start worker.cjs --name mail -i 2
pm2 scale mail 0
pm2 scale mail 2
pm2 start worker.cjs --name mail -i 2
pm2 stop mail
pm2 scale mail 2
pm2 scale mail 3
expected=("0: 2 online, 0 stopped" "0: 0 online, 0 stopped" "1: 0 online, 0 stopped" "0: 2 online, 0 stopped" "0: 0 online, 2 stopped"
    "1: 0 online, 2 stopped" "0: 1 online, 2 stopped")
[ "${seen[*]}" = "${expected[*]}" ] || { echo "it does otherwise now"; exit 1; }
