"""A network as a SavedModel that needs none of this code to run, proved equal to it.

And as LiteRT programs beside it, proved equal too. The one package of `models` that
imports TensorFlow.
"""

from models.export.compilation import FORMS
from models.export.programs import HOT_FORMS, QUANTIZATIONS, Programs, export_programs
from models.export.running import load_signature
from models.export.saved_model import export_network, trace_signature
from models.export.verification import ExportError

__all__ = [
    "FORMS",
    "HOT_FORMS",
    "QUANTIZATIONS",
    "ExportError",
    "Programs",
    "export_network",
    "export_programs",
    "load_signature",
    "trace_signature",
]
