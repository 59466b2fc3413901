"""Workflow files: read in any of their forms, changed from the command line, and handed on as plain values.

    read         a file, a picture or standard input -> Workflow
    strict_json  JSON text -> values, refusing what would break later
    pictures     what a picture carries: png, webp, jpeg, exif
    override     --set and --seed

    convert      the UI form, which a front end saves -> the API form, which runs
    document     the UI form as values
    interface    what the inputs of node classes are called
    widgets      names for the values of a node's fields
    flatten      subgraphs (and groups) unfolded
    wiring       what feeds an input once what never runs is seen through
    replace      what the front end replaces in texts

Imports neither torch nor nodes.
"""
