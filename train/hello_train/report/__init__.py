"""The page that a run leaves: what happened while the network learned."""
