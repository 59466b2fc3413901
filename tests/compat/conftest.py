from compat_packs import home

__all__ = ["home"]
