# A web server with nginx, and behind it an application that puts what it is asked into a command of the shell.
. /srv/shared/machine.sh
mkdir -p /var/log/nginx /var/lib/nginx
cp app.py /opt
setpriv --reuid 33 --regid 33 --clear-groups /usr/bin/python3 /opt/app.py >/run/app &
until [ -s /run/app ]; do :; done
nginx -c /srv/shared/web.nginx.conf
echo ready
read -r _
echo done
read -r _ || true
