"""Makes a bucket, by a request that is signed as the protocol wants it: dsv makes none.

usage: bucket.py s3 ENDPOINT KEY SECRET BUCKET
       bucket.py azure ENDPOINT ACCOUNT KEY CONTAINER
"""

import base64
import datetime
import hashlib
import hmac
import sys
import urllib.parse
import urllib.request

NOW = datetime.datetime.now(datetime.timezone.utc)


def s3(endpoint, key_id, secret, bucket):
    host = urllib.parse.urlsplit(endpoint).netloc
    stamp, day = NOW.strftime("%Y%m%dT%H%M%SZ"), NOW.strftime("%Y%m%d")
    empty = hashlib.sha256(b"").hexdigest()
    request = f"PUT\n/{bucket}\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{stamp}\n\nhost;x-amz-content-sha256;x-amz-date\n{empty}"
    scope = f"{day}/us-east-1/s3/aws4_request"
    key = b"AWS4" + secret.encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    signed = f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
    return f"{endpoint}/{bucket}", {"x-amz-date": stamp, "x-amz-content-sha256": empty, "Authorization": signed}


def azure(endpoint, account, secret, container):
    stamp, version = NOW.strftime("%a, %d %b %Y %H:%M:%S GMT"), "2021-08-06"
    path = urllib.parse.urlsplit(endpoint).path
    lines = ["PUT", *[""] * 11, f"x-ms-date:{stamp}", f"x-ms-version:{version}", f"/{account}{path}/{container}", "restype:container"]
    signature = base64.b64encode(hmac.new(base64.b64decode(secret), "\n".join(lines).encode(), hashlib.sha256).digest()).decode()
    headers = {"x-ms-date": stamp, "x-ms-version": version, "Authorization": f"SharedKey {account}:{signature}", "Content-Length": "0"}
    return f"{endpoint}/{container}?restype=container", headers


url, headers = {"s3": s3, "azure": azure}[sys.argv[1]](*sys.argv[2:])
urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers), timeout=20)
