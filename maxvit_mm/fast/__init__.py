"""Faster twins of the network's layers: which one runs, and why."""

from .. import network as network
