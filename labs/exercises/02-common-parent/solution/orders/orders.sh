#!/bin/sh
# Tell how much of each is ordered, as the file or the server at ORDERS has it.
curl --silent --show-error --fail "${ORDERS:-file:///srv/orders.json}" \
  | jq --raw-output '.[] | [.name, .pieces] | @csv' \
  | sqlite3 -cmd 'CREATE TABLE orders (name TEXT, pieces INTEGER)' \
      -cmd '.import --csv /dev/stdin orders' -separator ': ' :memory: \
      'SELECT name, sum(pieces) FROM orders GROUP BY name ORDER BY name'
