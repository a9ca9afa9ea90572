#!/bin/sh
# Show on the board what each package of packages.txt has to say.
set -eu
cut -d= -f1 packages.txt | while read -r program; do
  "$program"
done
