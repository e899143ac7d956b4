"""Requests with an idempotency key."""

KEY = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'
PATH = "/v1/models/counting:predict"


def send(client):
    """POST rows under an idempotency key."""

    def post(*instances, key=KEY, verb="predict", path=None, **body):
        return client.post(
            path or f"/v1/models/counting:{verb}",
            json={"instances": list(instances), **body},
            headers={"Idempotency-Key": key} if key else {},
        )

    return post


def row(*events, session="s", **options):
    return {"sequence": list(events) or ["red"], "session": session, **options}


def step_of(client, session="s"):
    return client.get(f"/v1/models/counting/sessions/{session}").get_json()["step"]
