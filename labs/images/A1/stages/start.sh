#!/bin/sh
python3 monitor.py &
python3 app.py
