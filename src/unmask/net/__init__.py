"""Downloads that resume, and connections that reach public hosts only."""
