"""Who is in which file: people of clips and pictures as vectors, grouped, compared with each other and with names."""
