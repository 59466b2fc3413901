"""Use cases that the command line and the server share: settings and a reporter in, values out."""
