"""Imports onnxruntime with its telemetry off; no other module imports it.

Since 1.29 it writes an identifier and a database into the user's cache folder and sends events to
Microsoft (`Privacy.md` in its package). The variable must be set before the library is loaded; a
user who wants the telemetry sets it to 0.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["onnxruntime"]
