#!/bin/sh
# Does nothing, until it is asked to stop: then it ends at once, as a good service does.
trap 'exit 0' TERM INT
echo "priority ${PRIORITY} is up"
while :; do
    sleep 3600 &
    wait $!
done
