"""A room on one big machine: JupyterHub, and a seat with an engine of its own for everybody.

The hub, its proxy and its culler run on the machine itself, and a seat is a container of the
machine's engine. What people do at a seat they do on the seat's own engine, nested in it.
"""
