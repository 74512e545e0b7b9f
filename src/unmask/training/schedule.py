"""The learning rate as a function of the iteration, so that resuming needs no state."""

from __future__ import annotations

import math

from unmask.training.recipe import Recipe


def learning_rate(recipe: Recipe, iteration: int, iterations: int) -> float:
    """Return the rate with which an iteration runs.

    Source of ``poly``: selimsef/dfdc_deepfake_challenge, lr0 (1 - g / max)^0.9; of ``steps`` with warm-up:
    Siyu-C/RobustForensics.

    Args:
        recipe: Of the run.
        iteration: Number of the optimizer step, from 0.
        iterations: Steps of the whole training; the recipe's schedule may name another length.
    """
    schedule, base = recipe.schedule, recipe.optimizer.learning_rate
    if iteration < schedule.warmup_iterations:
        return schedule.warmup_from + (base - schedule.warmup_from) * (iteration + 1) / schedule.warmup_iterations
    share = min(1.0, iteration / (schedule.iterations or iterations))
    if schedule.name == "poly":
        return base * (1 - share) ** schedule.power
    if schedule.name == "cosine":
        return base * 0.5 * (1 + math.cos(math.pi * share))
    if schedule.name == "steps":
        return base * schedule.factor ** sum(iteration >= step for step in schedule.steps)
    if schedule.name == "late_linear":
        return base * min(1.0, 4 * (1 - share))
    return base
