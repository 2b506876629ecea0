"""For any WSGI server: read the settings, build the app."""

import os

from checkout.app import build, create_app
from checkout.config import Settings

app = create_app(build(Settings.from_env(os.environ)))
