"""Pure scheduling: what a graph is, whether it can run, in which order, and what need not run again.

Imports neither torch nor nodes, and never recurses over the graph.

    graph      nodes and links, from the API form of a workflow
    schema     what a node class takes and gives
    define     a typed function becomes a node class
    registry   node classes by name
    validate   every problem of a workflow at once
    inspector  what is wrong with one node after another
    signature  cache keys
    cache      results that need not be made again
    schedule   which node is next
    calls      one node: inputs gathered, mapped over lists, results sorted
    executor   all of it, from a checked graph to its outputs
"""
