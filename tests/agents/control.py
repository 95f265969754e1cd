"""The test control plane: an ASGI wrapper in front of the real SDK application.

Everything on the A2A wire is produced by the SDK, except the faults that a test asks for by
name. The README lists the endpoints and the fault modes.
"""

import asyncio
import json
import time
from email.utils import formatdate
from urllib.parse import parse_qs

RECORDED_HEADERS = (
    "a2a-version", "a2a-extensions", "authorization", "traceparent", "tracestate",
    "x-user-id", "content-type", "accept", "user-agent", "idempotency-key",
)


class RunLog:
    """What the agent executed. With a file, every execution is on disk before the agent goes on."""

    def __init__(self, path=None):
        self.executions = []
        self._file = open(path, "a", encoding="utf-8", buffering=1) if path else None

    def record(self, **execution):
        execution = {"t": time.time(), **execution}
        self.executions.append(execution)
        if self._file:
            self._file.write(json.dumps(execution) + "\n")
            self._file.flush()


async def read_body(receive):
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def answer(send, status, body, content_type="application/json", headers=()):
    body = body if isinstance(body, bytes) else body.encode()
    await send({
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            *headers,
        ],
    })
    await send({"type": "http.response.body", "body": body})


def reset_connection(send):
    """End the TCP connection without another byte: uvicorn's `send` is bound to its cycle."""
    send.__self__.transport.abort()


def replaying(body, receive):
    """A `receive` that hands out a body which was read already."""
    handed_out = False

    async def replay():
        nonlocal handed_out
        if handed_out:
            return await receive()
        handed_out = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


class Kept:
    """A `send` that keeps the answer to itself."""

    def __init__(self):
        self.status = 200
        self.body = b""

    async def __call__(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")

    def json(self):
        try:
            answer = json.loads(self.body)
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}


def applies(fault, rpc, agent):
    if fault["count"] <= 0 or fault.get("onlyAgent", agent) != agent:
        return False
    return not fault.get("onlyRpc") or rpc in fault["onlyRpc"]


def agent_of(scope):
    """The agent that the URL's query names, as in `/?agent=triage-agent`."""
    return parse_qs(scope.get("query_string", b"").decode()).get("agent", [None])[0]


def member(value, name):
    """A member of a JSON object; an empty object if there is none, or if it is something else."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


class Control:
    """The wrapper: control endpoints, request log, refusals, and the armed faults."""

    def __init__(self, app, log, token=None, required_versions=()):
        self.app = app
        self.log = log
        self.token = token
        self.required_versions = required_versions
        self.requests = []
        self.faults = []
        self.first_answers = {}

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"]
        if path.startswith("/_test/"):
            return await self.control(scope["method"], path, receive, send)
        if path == "/health":
            return await answer(send, 200, "OK", "text/plain")
        if scope["method"] != "POST":
            return await self.app(scope, receive, send)

        body = await read_body(receive)
        call, headers = self.note(scope, body)
        refused = self.refusal(headers)
        if refused:
            return await answer(send, *refused)
        fault = self.take_fault(call.get("method"), agent_of(scope))
        return await self.faulty(fault, call, headers, scope, replaying(body, receive), send)

    async def control(self, method, path, receive, send):
        if path == "/_test/executions":
            if method == "DELETE":
                self.log.executions.clear()
                self.requests.clear()
            return await answer(send, 200, json.dumps(self.log.executions))
        if path == "/_test/requests":
            return await answer(send, 200, json.dumps(self.requests))
        if path == "/_test/faults":
            if method == "POST":
                given = json.loads(await read_body(receive) or b"{}")
                if isinstance(given, dict):
                    self.faults, given = [], [given]
                self.faults += [{"count": 1, **fault} for fault in given]
            elif method == "DELETE":
                self.faults = []
            return await answer(send, 200, json.dumps(self.faults))
        return await answer(send, 404, "no such control endpoint", "text/plain")

    def note(self, scope, body):
        """Adds the request to the log; an unreadable body counts as an empty call."""
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        try:
            call = json.loads(body)
        except ValueError:
            call = {}
        if not isinstance(call, dict):
            call = {}
        params = member(call, "params")
        message = member(params, "message")
        self.requests.append({
            "t": time.time(),
            "path": scope["path"],
            "agent": agent_of(scope),
            "rpc": call.get("method"),
            "id": call.get("id"),
            "messageId": message.get("messageId"),
            "message": message or None,
            "taskId": params.get("id"),
            "contextId": params.get("contextId"),
            "headers": {name: headers[name] for name in RECORDED_HEADERS if name in headers},
        })
        return call, headers

    def refusal(self, headers):
        """What a guarded agent answers before it looks at the call."""
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            challenge = ((b"www-authenticate", b'Bearer realm="a2a"'),)
            return 401, "Unauthorized\n", "text/plain; charset=utf-8", challenge
        if self.required_versions and headers.get("a2a-version") not in self.required_versions:
            text = f'A2A-Version must be "{self.required_versions[-1]}"\n'
            return 400, text, "text/plain; charset=utf-8"
        return None

    def take_fault(self, rpc, agent):
        """The first armed fault that applies to this call; uses up one of its count."""
        for fault in self.faults:
            if not applies(fault, rpc, agent):
                continue
            if fault.get("skip", 0) > 0:
                fault["skip"] -= 1
            else:
                fault["count"] -= 1
                return dict(fault)
        return {}

    async def faulty(self, fault, call, headers, scope, receive, send):
        match fault.get("mode"):
            case "status":
                await self.plain_error(fault, send)
            case "jsonrpc":
                error = {"code": fault.get("code", -32603), "message": fault.get("message", "boom")}
                if "data" in fault:
                    error["data"] = fault["data"]
                await self.reply(call, send, error=error)
            case "result":
                await self.reply(call, send, result=fault.get("result"))
            case "garbage":
                await answer(send, 200, "<html>gateway</html>", "text/html")
            case "empty":
                await answer(send, 200, "")
            case "guard" if headers.get("authorization") != f"Bearer {fault.get('token')}":
                await answer(send, 401, "Unauthorized\n", "text/plain")
            case "drop_before":
                reset_connection(send)
            case "drop_after":
                await self.app(scope, receive, Kept())
                reset_connection(send)
            case "truncate":
                await self.app(scope, receive, Kept())
                await self.half_an_answer(send)
                reset_connection(send)
            case "delay":
                await asyncio.sleep(float(fault.get("seconds", 5)))
                await self.app(scope, receive, send)
            case "late":
                kept = Kept()
                await self.app(scope, receive, kept)
                await asyncio.sleep(float(fault.get("seconds", 5)))
                await answer(send, kept.status, kept.body)
            case "state":
                kept = Kept()
                await self.app(scope, receive, kept)
                await self.in_another_state(kept, fault.get("state"), send)
            case "recognise":
                await self.recognise(fault, call, scope, receive, send)
            case _:
                await self.app(scope, receive, send)

    @staticmethod
    async def reply(call, send, **outcome):
        await answer(send, 200, json.dumps({"jsonrpc": "2.0", "id": call.get("id"), **outcome}))

    @staticmethod
    async def plain_error(fault, send):
        headers = ()
        if "retryAfter" in fault:
            headers = ((b"retry-after", str(fault["retryAfter"]).encode()),)
        elif "retryDate" in fault:
            date = formatdate(time.time() + float(fault["retryDate"]), usegmt=True)
            headers = ((b"retry-after", date.encode()),)
        status = int(fault.get("status", 503))
        await answer(send, status, fault.get("body", "busy\n"), "text/plain", headers)

    @staticmethod
    async def in_another_state(kept, state, send):
        answered = kept.json()
        result = member(answered, "result")
        task = member(result, "task") or result
        if member(task, "status"):
            task["status"]["state"] = state
        await answer(send, kept.status, json.dumps(answered))

    async def recognise(self, fault, call, scope, receive, send):
        """A message that was taken before is answered as it was then, and not run again."""
        message_id = member(member(call, "params"), "message").get("messageId")
        if message_id in self.first_answers:
            return await self.reply(call, send, result=self.first_answers[message_id])
        kept = Kept()
        await self.app(scope, receive, kept)
        answered = kept.json()
        if not message_id or "result" not in answered:
            return await answer(send, kept.status, kept.body)
        self.first_answers[message_id] = answered["result"]
        if fault.get("lose"):
            return reset_connection(send)
        return await answer(send, kept.status, kept.body)

    @staticmethod
    async def half_an_answer(send):
        await send({
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"5000")],
        })
        await send({"type": "http.response.body", "body": b'{"jsonrpc":"2.0","id":"1","resu', "more_body": True})
