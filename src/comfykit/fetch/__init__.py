"""Brings model files onto the disk: manifests, plans, transfers, verification.

    manifest, parse, entry, options, addresses     what a list of models says
    urls, paths                                    which addresses and places are accepted
    hubs                                           what is known of the sites that models come from
    mirror_rules, mirrors, tokens, history, guide  whom to ask, with which secrets, in which order
    presence, formats, index, copies, hf_cache     what is there already, and whether it can be right
    space, provenance, state_file                  whether it fits, and what is noted of what came
    backend, source, partial, journal, spans       what every way of bringing bytes shares
    engine, download, race, session, pieces        our own way: several connections, resumed
    wire, proxied, resolve, answers, retry, rate   one request, and what follows from its answer
    aria2 and aria2_...                            the other way
    transfer                                       a file that appears whole or not at all
    catalog                                        the lists that ship with comfykit

Nothing here imports torch, and only modules that talk to the network import httpx, when they do.
"""
