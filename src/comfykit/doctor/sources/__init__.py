"""One file per thing that is looked at; each turns whatever it meets into a value."""
