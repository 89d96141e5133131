# A server whose Docker listens to everybody and asks for no certificate.
. /srv/shared/machine.sh
mkdir -p /etc/cron.d /run/docker
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# Its containers are in the machine's control group, or they would not be part of it.
group=$(sed -n 's/^0:://p' /proc/self/cgroup)/docker
dockerd --bridge none --iptables=false --cgroup-parent "$group" --exec-opt native.cgroupdriver=cgroupfs \
    --data-root /run/docker/data --exec-root /run/docker/exec --pidfile /run/docker/pid \
    -H tcp://192.0.2.10:2375 >/run/docker/log 2>&1 &
until curl -fs http://192.0.2.10:2375/_ping >/dev/null; do
    kill -0 $! || { cat /run/docker/log >&2; exit 1; }
done
# An image of one program, as a server has many.
mkdir -p /run/image/bin
cp /usr/bin/busybox /run/image/bin/sh
tar -C /run/image -c . | curl -fsS -H 'Content-Type: application/x-tar' --data-binary @- 'http://192.0.2.10:2375/images/create?fromSrc=-&repo=small' >/dev/null
echo ready
read -r _
rmdir "/sys/fs/cgroup$group"
echo done
read -r _ || true
