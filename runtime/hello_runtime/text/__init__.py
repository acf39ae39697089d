"""Text in and out: code points, lines of files, pairs, and how well a rewriting does on them."""
