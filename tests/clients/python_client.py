"""The public Python client of Dataverse, unchanged, on the environment that the first argument addresses."""

import os
import sys
import tempfile
import time
from pathlib import Path

from azure.core.credentials import AccessToken

from https_front import HttpsFront


class StaticToken:
    """A credential whose token is always the same word."""

    def get_token(self, *_scopes, **_options):
        return AccessToken("emulated", int(time.time()) + 3600)


def run(work):
    """Does the work with a client; the client takes https alone, so something stands before the environment."""
    with tempfile.TemporaryDirectory() as folder:
        front = HttpsFront(sys.argv[1], Path(folder))
        os.environ["REQUESTS_CA_BUNDLE"] = str(front.certificate)
        os.environ["NO_PROXY"] = "localhost"
        # The client reads both when it is imported.
        from PowerPlatform.Dataverse.client import DataverseClient

        with DataverseClient(front.url, StaticToken()) as client:
            work(client)
        front.close()
