"""Files that are written whole or not at all, locks, rows that survive a kill, and the user's model folder."""
