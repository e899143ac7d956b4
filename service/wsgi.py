"""The application, as gunicorn loads it (`service.wsgi:app`).

The one module with effects at import: it reads the environment, opens the store and
loads the models, in each worker after the fork (TensorFlow does not survive one).
"""

from __future__ import annotations

import logging
import os

from service.app import build_services, create_app
from service.settings import read_settings
from service.sweeper import Sweeper

settings = read_settings(os.environ)
logging.basicConfig(level=settings.log_level.upper(), format="%(message)s")
services = build_services(settings)
app = create_app(services)
Sweeper(services.engine.sessions).start()
