"""Doing many things: a function mapped over items, in order, none of them able to stop the rest."""

from unmask.engine.local import Failure, cores, map_items, prefetch

__all__ = ["Failure", "cores", "map_items", "prefetch"]
