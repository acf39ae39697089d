"""Text: code points, files and their lines, pairs, the baseline and scores."""
