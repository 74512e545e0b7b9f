"""What a file says of itself, beside the score: declared labels, and traces of how it was written."""
