#!/bin/sh
# makes libtide.so of tide.c
set -eu
gcc -O2 -shared -fPIC -o libtide.so tide.c
echo "ran library"
