"""A bucket of an S3-compatible object store: its URL, the way to it, and its failures told in one line."""

import ipaddress
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cache.objects import check_name
from scene.errors import InputError

if TYPE_CHECKING:
    from obstore.store import S3Store

CONNECT_S = 3.0
AGAIN = "run again: it goes on from where it was"


@dataclass(frozen=True)
class Bucket:
    """Where objects are: `s3://bucket/prefix`, at the endpoint that the environment names (Amazon's without one)."""

    url: str
    name: str
    prefix: str

    @classmethod
    def of_url(cls, url: str) -> "Bucket":
        """Raises InputError unless `url` is `s3://bucket` or `s3://bucket/prefix`."""
        name, _, prefix = url.removeprefix("s3://").rstrip("/").partition("/")
        try:
            check_name(prefix or "none")
        except ValueError:
            name = ""
        if not url.startswith("s3://") or not _NAME.fullmatch(name) or not _PREFIX.fullmatch(prefix):
            # The text itself is not repeated: it may hold a password.
            raise InputError("the cache's URL does not name a bucket", fix="write it as s3://bucket/prefix")
        return cls(f"s3://{name}/{prefix}".rstrip("/"), name, prefix)

    def connect(self, *, silence_s: float, retries: int) -> "S3Store":
        """The bucket's objects below the prefix. Nothing is sent yet.

        Args:
            silence_s: how long a request may go without a byte from the other side.
            retries: how often a request is repeated that may be, after silence, a lost connection or status 5xx.

        Raises:
            InputError: if there are no credentials, or they would be sent in the open.
        """
        from obstore.store import S3Store

        endpoint = _endpoint()
        if not any(os.environ.get(variable) for variable in _CREDENTIALS):
            raise InputError("no credentials for the object store", where=self.url, fix=_SET_CREDENTIALS)
        return S3Store(
            self.name,
            prefix=self.prefix or None,
            config={"endpoint": endpoint} if endpoint else {},
            client_options={
                "allow_http": self._may_use_http(endpoint),
                "connect_timeout": timedelta(seconds=CONNECT_S),
                "read_timeout": timedelta(seconds=silence_s),
                "timeout": timedelta(hours=12),  # of a whole request, however large: silence is what ends it
            },
            retry_config={
                "max_retries": retries,
                "retry_timeout": timedelta(seconds=silence_s * (retries + 1)),
                "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=1)},
            },
        )

    def _may_use_http(self, endpoint: str | None) -> bool:
        allowed = _is_loopback(endpoint) or os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true", "yes"}
        if endpoint and endpoint.startswith("http:") and not allowed:
            fix = "use https in AWS_ENDPOINT_URL, or set AWS_ALLOW_HTTP=true where the network is trusted"
            raise InputError("the object store's endpoint is not encrypted", where=self.url, fix=fix)
        return allowed

    @contextmanager
    def explain_errors(self, name: str = "") -> Iterator[None]:
        """Turns obstore's errors into an `InputError` of one line; the object `name` is named where it is missing.

        What the server answered is not repeated, but for its error code: it may hold parts of the credentials.
        """
        from obstore.exceptions import BaseError

        if os.getpid() != _PROCESS:
            raise RuntimeError("the network client does not survive a fork: start worker processes with spawn")
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise self._explain(error, name) from None

    def _explain(self, error: Exception, name: str) -> InputError:
        what, fix = _reason(error)
        place = f"{self.url}/{name}" if is_missing(error) else self.url
        endpoint = _endpoint()
        at = f" at {urlsplit(endpoint).hostname}:{urlsplit(endpoint).port or 443}" if endpoint else ""
        return InputError(f"the object store{at} {what}", where=place, fix=fix)


def is_missing(error: Exception) -> bool:
    """Whether the bucket answered that it has no such object; any other 404 comes from a wrong place."""
    return _code(error) == "NoSuchKey"


def is_conflict(error: Exception) -> bool:
    """Whether a conditional write was refused because of the object's state, or of another write at the same time."""
    return _status(error) in {409, 412} or is_missing(error)


def may_pass(error: Exception) -> bool:
    """Whether a request got no answer, or one that was no fault of its own: it may or may not have been carried out."""
    from obstore.exceptions import GenericError

    status = _status(error)
    return isinstance(error, GenericError) and (status is None or status >= 500 or status == 429)


_PROCESS = os.getpid()
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{1,62}", re.ASCII)
_PREFIX = re.compile(r"[\w./=+-]*", re.ASCII)
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_METADATA_ENDPOINT",  # never asked unless named: obstore waits for it without end where it is silent
    "AWS_SKIP_SIGNATURE",
)
_SET_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN if they are temporary)"
_REFUSED = f"{_SET_CREDENTIALS} to ones that may list, read, write and delete there"
_REASONS = {
    "NoSuchKey": ("has no such object", f"if nobody removed it on purpose, {AGAIN}"),
    "NoSuchBucket": ("has no such bucket", "create it, or mend the URL or AWS_ENDPOINT_URL"),
    "PermanentRedirect": ("has this bucket in another region", "set AWS_REGION to it"),
    "AuthorizationHeaderMalformed": ("has this bucket in another region", "set AWS_REGION to it"),
    "RequestTimeTooSkewed": ("has another time than this machine", "set this machine's clock"),
}


def _reason(error: Exception) -> tuple[str, str]:
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    code, status = _code(error), _status(error)
    if code in _REASONS:
        return _REASONS[code]
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or status in {401, 403}:
        return f"does not accept the credentials ({code or status})", _REFUSED
    if status is None:
        return "does not answer", f"check AWS_ENDPOINT_URL and the network, then {AGAIN}"
    answer = f"answers with status {status}" + (f", {code}" if code else "")
    if status >= 500 or status == 429:
        return answer, f"wait until it is well, then {AGAIN}"
    return answer, "check AWS_ENDPOINT_URL, AWS_REGION and that it is an S3 service with conditional writes"


def _code(error: Exception) -> str | None:
    found = re.search(r"<Code>(\w+)</Code>", str(error))
    return found and found[1]


def _status(error: Exception) -> int | None:
    found = re.search(r"status code: (\d{3})\b", str(error))
    return int(found[1]) if found else None


def _endpoint() -> str | None:
    variables = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((value for variable in variables if (value := os.environ.get(variable))), None)


def _is_loopback(endpoint: str | None) -> bool:
    host = urlsplit(endpoint or "").hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
