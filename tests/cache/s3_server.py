"""An S3 server for the tests, in a process of its own: `python s3_server.py`. Prints its port.

Moto's server speaks the protocol and honours If-None-Match and If-Match. It looks and then writes, without a lock, so
here it answers one request at a time: that is what makes its conditional writes atomic, as a real store's are.
"""

import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
