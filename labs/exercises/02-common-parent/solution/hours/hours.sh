#!/bin/sh
# Tell when the bakery is open, as the file or the server at HOURS has it.
curl --silent --show-error --fail "${HOURS:-file:///srv/hours.json}" \
  | jq --raw-output 'to_entries[] | "\(.key): \(.value.from) to \(.value.to)"'
