#!/bin/sh
# Tell what is baked today, as the file or the server at MENU has it.
curl --silent --show-error --fail "${MENU:-file:///srv/menu.json}" \
  | jq --raw-output '.[] | "\(.name): \(.cents) cents"'
