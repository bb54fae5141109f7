"""``RUN`` as a URL: a run in an object store, from first to last through the command line."""

import json
import shutil

import pytest


@pytest.fixture(scope="session")
def s3_endpoint():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint, monkeypatch):
    import boto3

    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=s3_endpoint).create_bucket(Bucket="lab")
    return "s3://lab/runs"


@pytest.mark.s3
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_run_in_an_object_store(sdk, here, finished_once, bucket):
    shutil.copytree(finished_once / "good", here / "job", ignore=shutil.ignore_patterns("*.zarr"))
    url = f"{bucket}/first.zarr"
    result = sdk("predict", "job/job.toml", "--output", url)
    assert (result.code, result.out) == (0, f"{url}\n"), result.err
    assert sdk("status", "@last", "--exit-code").lines[0] == f"{url}   DONE"
    assert [run["run"] for run in json.loads(sdk("runs", bucket, "--json").out)["runs"]] == [url]
    assert sdk("show", url).lines[0] == f"{url}   zarr   10 rows in 3 chunks, 3 done"
    assert sdk("verify", url, "--deep").code == 0
    assert sdk("resume", url).code == 0
