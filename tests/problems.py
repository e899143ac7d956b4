"""The one shape of an error, asserted in one place."""

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "error", "code"}


def assert_problem(response, status, code):
    """Check an error answer and return its body."""
    body = response.get_json() if hasattr(response, "get_json") else response.json()
    assert (response.status_code, body.get("code")) == (status, code), body
    content_type = response.headers["Content-Type"]
    assert content_type == "application/problem+json"
    assert_problem_body(body, status, code)
    return body


def assert_problem_body(body, status, code):
    """Check a problem document, wherever it stands."""
    assert body.keys() >= PROBLEM_MEMBERS
    assert (body["status"], body["code"]) == (status, code)
    assert body["error"]  # TensorFlow Serving's text where it has one, else the detail
    assert "Traceback" not in body["detail"]
    assert body["detail"].rstrip().endswith((".", "?"))
