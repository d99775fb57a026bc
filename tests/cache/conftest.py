import uuid
from collections.abc import Iterator

import pytest

from tests.cache import s3


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    with s3.server() as port:
        yield port


@pytest.fixture
def bucket_url(s3_port: int) -> Iterator[str]:
    """An empty place in a bucket, with the environment that leads there."""
    with s3.environment(s3_port):
        yield f"s3://tests/{uuid.uuid4().hex}"
