"""The network: its cells, configuration, character ids, module and checkpoint."""
