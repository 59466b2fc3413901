"""`comfy.cldm`: ControlNets by name."""
