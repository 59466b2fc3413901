"""The built-in nodes, one file per family, each node a few lines over the packages below."""
