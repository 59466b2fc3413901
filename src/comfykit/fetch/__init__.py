"""Brings model files onto the disk: manifests, plans, transfers, verification.

    manifest, parse, entry, options   what a list of models says
    urls, paths, mirrors              where from, where to, and by which detour
    plan, formats                     what is there already, and whether it can be right
    transport, http, redirects        one request, and what follows from its answer
    threads, partial, transfer        bytes to a file that appears whole or not at all
    catalog                           the lists that ship with comfykit

Nothing here imports torch; only `http` imports httpx.
"""
