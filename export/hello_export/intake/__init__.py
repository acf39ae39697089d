"""The intake: a network from outside becomes an ordinary configuration and network."""
