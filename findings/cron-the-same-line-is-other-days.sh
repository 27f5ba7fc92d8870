#!/usr/bin/env bash
# Cron expressions: one line with a step of days and a weekday is another set of days for croniter and KEDA than for cron itself.
#
# One would assume that five fields of cron mean the same days to all who read them, as they do in everything that one tries
# first: "1-31/2" and "*/2" are the same days of the month, and with a weekday beside them either of the two is enough.
# For cron "*/2" still begins with a star, and then both have to hold: 0 8 */2 * 1 is 8:00 on Mondays with an odd date, two or
# three times a month. cronsim, which follows Debian's cron, says so. croniter, and robfig/cron, which is in Kubernetes' CronJob
# and KEDA's cron scaler, say each odd date and each Monday: seventeen times. A Sunday written as 7 is an error for the last one only.
# Who moves a line from a crontab to an autoscaler (or from KEDA to another) has capacity on other days, and no error says so. Write
# days of the month or days of the week, not both. Seen with cronsim 2.8, croniter 7.0.0 (implement_cron_bug=True is as cron),
# github.com/robfig/cron/v3 v3.0.1 (parser.go, spec.go). Needs Go.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check cronsim==2.8 croniter==7.0.0
export GOPATH="$dir/go" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
cd "$dir"
printf 'module temp\ngo 1.20\nrequire github.com/robfig/cron/v3 v3.0.1\n' >go.mod
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

func main() {
	schedule, err := cron.ParseStandard(os.Args[1])
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for at = schedule.Next(at); at.Month() == 6; at = schedule.Next(at) {
		fmt.Print(at.Day(), " ")
	}
	fmt.Println()
}
GO
cat >look.py <<'PY'
import datetime, itertools, sys
import croniter, cronsim
begin, end = datetime.datetime(2026, 6, 1), datetime.datetime(2026, 7, 1)
first = croniter.croniter(sys.argv[1], begin)
for times in (cronsim.CronSim(sys.argv[1], begin), iter(lambda: first.get_next(datetime.datetime), None)):
    print(*(at.day for at in itertools.takewhile(lambda at: at < end, times)))
PY
go build -o look . 2>log || { cat log; exit 1; }
for line in '0 8 */2 * 1' '0 8 1-31/2 * 1' '0 8 * * 7'; do
    { venv/bin/python look.py "$line"; ./look "$line"; } | sed 's/ $//' >days
    echo "June 2026, $line"
    paste -d ' ' <(printf 'cronsim:\ncroniter:\nrobfig/cron:\n') days
    uniq days | wc -l >>kinds
done
[ "$(xargs <kinds)" = "2 1 2" ] || { echo "they agree otherwise now"; exit 1; }
