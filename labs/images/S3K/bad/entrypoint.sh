#!/bin/sh
set -e
chown -R www-data:www-data /srv/data
exec setpriv --reuid=www-data --regid=www-data --clear-groups "$@"
