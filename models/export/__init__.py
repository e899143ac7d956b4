"""A network as a SavedModel that needs none of this code to run, proved equal to it.

The one package of `models` that imports TensorFlow.
"""

from models.export.saved_model import export_network
from models.export.verification import ExportError

__all__ = ["ExportError", "export_network"]
