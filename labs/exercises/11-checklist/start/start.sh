#!/bin/sh
python3 app.py >>/app/shop.log 2>&1
