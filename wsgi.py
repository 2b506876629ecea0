"""For any WSGI server: read the settings, build the app. Build it after a fork: never with a server's preloading."""

import os
import sys

from checkout import logs
from checkout.app import build, create_app
from checkout.config import Settings

logs.configure(sys.stderr)
app = create_app(build(Settings.from_env(os.environ)))
