#!/bin/sh
# Pings a service that alerts when a ping is late, such as Healthchecks: $1/0 after a complete run, otherwise $1/CODE
# with the reasons as the body. Run by cron: ping.sh https://hc-ping.com/UUID
cd /var/lib/balcli || exit 9
balcli all -q -o json -O balances.json > /dev/null 2> reasons
code=$?
curl -fsS -m 10 --retry 3 -o /dev/null --data-binary @reasons "$1/$code" || echo "the ping failed"
exit $code
