#!/bin/sh
# supervised start|stop|restart|status ENTRY   asks runit; start, stop and restart wait until it is so
set -eu

action=$1 entry=$2
# The service takes up to 10 s to finish what is in flight.
patience=20

# runsvdir looks for new entries every five seconds: until then nobody supervises a new one.
wait_for_runsv() {
    tries=120
    until sv status "$entry" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ]; then
            echo "no runsv supervises $entry after 30 s; is the node's runsvdir running?" >&2
            exit 1
        fi
        sleep 0.25
    done
}

case $action in
status)
    sv status "$entry" 2>/dev/null | grep -q '^run:'
    ;;
start | stop | restart)
    wait_for_runsv
    exec sv -w "$patience" "$action" "$entry"
    ;;
*)
    echo "unknown action: $action" >&2
    exit 2
    ;;
esac
