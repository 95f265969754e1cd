"""The test control plane: an ASGI wrapper in front of the real SDK application.

Everything on the A2A wire is produced by the SDK, except the faults that a test asks for by
name. The README lists the endpoints and the fault modes.
"""

import asyncio
import json
import time

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


async def swallow(_message):
    """A `send` that loses the answer."""


class Control:
    """The wrapper: control endpoints, request log, refusals, and at most one armed fault."""

    def __init__(self, app, log, token=None, required_versions=()):
        self.app = app
        self.log = log
        self.token = token
        self.required_versions = required_versions
        self.requests = []
        self.fault = {}

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
        mode = self.take_fault(call)
        return await self.faulty(mode, call, scope, replaying(body, receive), send)

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
                self.fault = {"count": 1, **json.loads(await read_body(receive) or b"{}")}
            elif method == "DELETE":
                self.fault = {}
            return await answer(send, 200, json.dumps(self.fault))
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
        message = (call.get("params") or {}).get("message") or {}
        self.requests.append({
            "t": time.time(),
            "path": scope["path"],
            "rpc": call.get("method"),
            "id": call.get("id"),
            "messageId": message.get("messageId"),
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

    def take_fault(self, call):
        """The mode of the armed fault, if it applies to this call; uses up one of its count."""
        if self.fault.get("count", 0) <= 0:
            return None
        only = self.fault.get("onlyRpc")
        if only and call.get("method") not in only:
            return None
        self.fault["count"] -= 1
        return self.fault.get("mode")

    async def faulty(self, mode, call, scope, receive, send):
        fault = dict(self.fault)
        match mode:
            case "status":
                headers = ()
                if "retryAfter" in fault:
                    headers = ((b"retry-after", str(fault["retryAfter"]).encode()),)
                status = int(fault.get("status", 503))
                await answer(send, status, fault.get("body", "busy\n"), "text/plain", headers)
            case "jsonrpc":
                error = {"code": fault.get("code", -32603), "message": fault.get("message", "boom")}
                if "data" in fault:
                    error["data"] = fault["data"]
                await answer(send, 200, json.dumps({"jsonrpc": "2.0", "id": call.get("id"), "error": error}))
            case "garbage":
                await answer(send, 200, "<html>gateway</html>", "text/html")
            case "empty":
                await answer(send, 200, "")
            case "drop_before":
                reset_connection(send)
            case "drop_after":
                await self.app(scope, receive, swallow)
                reset_connection(send)
            case "truncate":
                await self.app(scope, receive, swallow)
                await self.half_an_answer(send)
                reset_connection(send)
            case "delay":
                await asyncio.sleep(float(fault.get("seconds", 5)))
                await self.app(scope, receive, send)
            case _:
                await self.app(scope, receive, send)

    @staticmethod
    async def half_an_answer(send):
        await send({
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"5000")],
        })
        await send({"type": "http.response.body", "body": b'{"jsonrpc":"2.0","id":"1","resu', "more_body": True})
