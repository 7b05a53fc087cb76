#!/bin/sh
# Gives the relocatable nginx the paths that the official image's nginx is compiled with. Options given later win.
exec /usr/lib/nginx/nginx -p /etc/nginx/ -c /etc/nginx/nginx.conf -e /var/log/nginx/error.log "$@"
