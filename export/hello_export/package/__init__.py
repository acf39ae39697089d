"""A project of Python with a model inside, for a wheel that needs the runtime alone."""
