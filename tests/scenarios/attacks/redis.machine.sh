# A server whose redis listens to everybody, asks for no password and lets its folders be changed, as all did before 7.
. /srv/shared/machine.sh
mkdir -p /etc/cron.d /root/.ssh
cd /
redis-server --bind 192.0.2.10 --port 6379 --protected-mode no --enable-protected-configs yes --save '' --daemonize yes --pidfile /run/redis.pid >/dev/null
until redis-cli -h 192.0.2.10 ping >/dev/null 2>&1; do :; done
echo ready
read -r _
echo done
read -r _ || true
