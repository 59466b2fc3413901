"""Pictures in the terminal: what it can show, and the protocols that it is shown with.

`terminal` finds out what a terminal can do, by its name or by asking it (`query`). Each protocol is one
file with one function, from a picture to what is written: `kitty`, `iterm2`, `sixel`, and `blocks` for
terminals that know colours alone. `gallery` shows files with them.
"""
