"""A shop's endpoint in Python: verifies each notification by the Standard Webhooks library and says what came of it, one line
of JSON each. Its secrets are in the file that SECRETS names, read anew at each request. Nothing here is the service's.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


def accepted(secret: str, body: bytes, headers: dict[str, str]) -> Any:
    try:
        return Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return None


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        secrets = json.loads(Path(os.environ["SECRETS"]).read_text(encoding="utf-8"))
        content = [accepted(secret, body, headers) for secret in secrets]
        found = next((one for one in content if one is not None), None)
        later = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}
        forged = [one for one in secrets if accepted(one, body + b" ", headers) or accepted(one, body, later)]
        self.send_response(401 if found is None else 204)
        self.end_headers()
        verified = [one is not None for one in content]
        said = {"id": headers["webhook-id"], "verified": verified, "forged": len(forged), "content": found}
        print(json.dumps(said), flush=True)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing else."""


if __name__ == "__main__":
    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        print(json.dumps({"port": server.server_port}), flush=True)
        server.serve_forever()
