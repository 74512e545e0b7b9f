"""From a file to a verdict."""
