"""An S3 server for the tests, in a process of its own: `python s3_server.py [--deaf]`. Prints its port.

Moto's server speaks the protocol and honours If-None-Match and If-Match. It looks and then writes, without a lock, so
here it answers one request at a time: that is what makes its conditional writes atomic, as a real store's are.
With --deaf it does not see the conditions, like servers of older make.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

moto = DomainDispatcherApplication(create_backend_app)


def deaf(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    for header in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"):
        environment.pop(header, None)
    return moto(environment, start_response)


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, deaf if "--deaf" in sys.argv else moto, threaded=False)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
