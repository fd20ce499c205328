"""moto's server with the check of signatures that it lacks: signed_storage.py PORT ACCESS_KEY SECRET_KEY

botocore, which Amazon writes, computes the signature of each request again from what has arrived. A
request without one passes: those are a test's own.
"""

import datetime
import sys
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

REFUSAL = "<Error><Code>%s</Code><Message>%s</Message></Error>"
MAX_SKEW = datetime.timedelta(minutes=15)


def refusal(environ, access_key, secret_key):
    """The code and the message of a refusal; None if the request is signed well, or not at all."""
    url = urlsplit(environ["RAW_URI"])
    parameters = dict(parse_qsl(url.query, keep_blank_values=True))
    signature = parameters.pop("X-Amz-Signature", None)
    if signature is None:
        return None
    key, date, region, service, end = parameters["X-Amz-Credential"].split("/")
    if key != access_key:
        return "InvalidAccessKeyId", "nobody has this key"
    if (service, end) != ("s3", "aws4_request") or parameters["X-Amz-Algorithm"] != "AWS4-HMAC-SHA256":
        return "AuthorizationQueryParametersError", "this is no signature of a request to S3"
    signed = datetime.datetime.strptime(parameters["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    age = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - signed
    if not parameters["X-Amz-Date"].startswith(date) or age < -MAX_SKEW:
        return "AccessDenied", "the signature is of another time"
    if age > datetime.timedelta(seconds=int(parameters["X-Amz-Expires"])):
        return "AccessDenied", "Request has expired"
    arrived = {
        name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
    }
    names = parameters["X-Amz-SignedHeaders"].split(";")
    unsigned = [name for name in arrived if name.startswith("x-amz-") and name not in names]
    if "host" not in names or unsigned or any(name not in arrived for name in names):
        return "AccessDenied", "There were headers present in the request which were not signed"
    # As a server sees it: nothing of how the client has encoded the path and the query.
    path = quote(unquote(url.path), safe="/-_.~")
    request = AWSRequest(
        method=environ["REQUEST_METHOD"],
        url=f"http://{arrived['host']}{path}",
        headers={name: arrived[name] for name in names},
        params=parameters,
    )
    request.context["timestamp"] = parameters["X-Amz-Date"]
    auth = S3SigV4QueryAuth(Credentials(access_key, secret_key), "s3", region)
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if signature != expected:
        return "SignatureDoesNotMatch", "The request signature we calculated does not match"
    return None


def main():
    port, access_key, secret_key = sys.argv[1:]
    moto = DomainDispatcherApplication(create_backend_app)

    def application(environ, start_response):
        refused = refusal(environ, access_key, secret_key)
        if refused is None:
            return moto(environ, start_response)
        # What is left unread would be taken for the next request.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = (REFUSAL % refused).encode()
        start_response("403 Forbidden", [("content-type", "application/xml"), ("content-length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    run_simple("127.0.0.1", int(port), application, threaded=True, request_handler=MotoRequestHandler)


main()
