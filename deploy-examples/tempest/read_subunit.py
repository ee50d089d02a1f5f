# Reads a subunit stream and prints one JSON object a line for each test: id, status, and its details that are text.
import json
import sys

import subunit
import testtools


def tell(test):
    details = {name: content.as_text() for name, content in test["details"].items()
               if content.content_type.type == "text"}
    print(json.dumps({"id": test["id"], "status": test["status"], "details": details}))


result = testtools.StreamToDict(tell)
result.startTestRun()
subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout").run(result)
result.stopTestRun()
