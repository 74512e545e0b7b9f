"""Doing many things: a function mapped over items, in order, none of them able to stop the rest."""

from unmask.engine.local import Failure, Stopped, cores, map_items, prefetch

__all__ = ["Failure", "Stopped", "cores", "map_items", "prefetch"]
