"""Custom-node packs as files: where they come from, what they need, what classes they offer."""
