#!/bin/sh
: "${CURRENCY:?is not set: in which currency are the prices?}"
: "${DATABASE_URL:?is not set: where are the orders kept?}"
exec "$@"
