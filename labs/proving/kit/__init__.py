"""The kit: all that the labs need without a network, in a folder, an archive or a room's server."""
