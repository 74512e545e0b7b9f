"""Doing many things: a function mapped over items, in order, none of them able to stop the rest."""

from unmask.engine.local import Failure, map_items, prefetch

__all__ = ["Failure", "map_items", "prefetch"]
