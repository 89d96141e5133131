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
for folder in tmp var/tmp dev/shm run; do
    [ "$folder" = dev/shm ] && mount --rbind /dev dev
    mount -t tmpfs -o mode=1777 tmpfs "$folder"
done
mount -t proc proc proc
mount --rbind /sys sys
mkdir -p .old opt/scenario srv/www
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
