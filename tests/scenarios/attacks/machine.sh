# Where the victim is: at 192.0.2.10, which is reached from 198.51.100.7. Sourced by the machine's scripts.
set -eu
ip address add 192.0.2.10/32 dev lo
ip address add 198.51.100.7/32 dev lo
# What goes to the one comes from the other.
ip route add local 192.0.2.10 dev lo src 198.51.100.7 table local metric 1
ip route delete local 192.0.2.10 dev lo src 192.0.2.10 table local
cd /srv/shared
