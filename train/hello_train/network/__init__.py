"""The network: what is known of each cell, a configuration, the module, and its checkpoint."""
