"""Write files whole or not at all, lock outputs, keep rows that survive a kill, and find the user's model folder."""
