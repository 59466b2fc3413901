"""Workflow files: read, changed from the command line, and handed on as plain values.

    read         a file, a picture or standard input -> Workflow
    strict_json  JSON text -> values, refusing what would break later
    png          text chunks of a PNG, without decoding its pixels
    override     --set and --seed

Imports neither torch nor nodes.
"""
