set -a
. /etc/guestbook.conf
exec gunicorn --bind 0.0.0.0:8000 --access-logfile "$LOG" guestbook:application
