"""Says whether this machine can run workflows, and what to do where it cannot.

`sources/` looks at the machine, `facts` holds what was seen, `checks/` judges it.
"""
