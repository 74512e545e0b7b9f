"""A package that adds to unmask: pip install ./examples/plug_in. Each file is one kind of plug-in."""
