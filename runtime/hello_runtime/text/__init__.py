"""Text: code points, edits, files and their lines, pairs, the baseline and scores."""
