#!/bin/sh
# A throw-away machine for one scenario: own mounts, pids, network and root. Called as
#   unshare --mount --pid --fork --net --uts --ipc --propagation private sh enter.sh SCRIPT
# What the script writes lands in memory and is gone with its last process. Loopback only: there is no other interface.
set -eu
script=$1 here=$(dirname "$(readlink -f "$0")")

mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
cd /mnt/root
for folder in tmp var/tmp run dev; do
    mount -t tmpfs -o mode=1777 tmpfs "$folder"
done
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
# Devices of its own: nothing that a script does to them reaches those of the host.
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for number in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${number%:*}" "dev/${number#*:}"; done
for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${node%:*}" c 1 "${node#*:}"; done
mknod -m 666 dev/tty c 5 0
mkdir -p .old opt/scenario srv/www
# A folder of the host, when one is named: for files that both sides read.
if [ -n "${SHARED-}" ]; then
    mkdir srv/shared
    mount --bind "$SHARED" srv/shared
fi
cp "$here/tools.sh" "$here/serve.py" "$script" opt/scenario/
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
ip link set lo up

printf '#!/bin/sh\necho harmless\n' > /srv/www/run.sh
cp /bin/sleep /srv/www/program
mkfifo /run/ready
python3 /opt/scenario/serve.py "$PORT" /srv/www > /run/ready &
read -r _ < /run/ready
cd /root
# Not exec: this shell stays the first process of its pid namespace, as a container's first process does.
sh "/opt/scenario/$(basename "$script")"
