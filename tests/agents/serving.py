"""The command line and the listening socket that both servers share."""

import argparse
import socket

import uvicorn


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port, printed when ready")
    parser.add_argument("--prefix", action="append", default=[], help="serve below this path too; repeatable")
    parser.add_argument("--token", help="require this bearer token")
    parser.add_argument("--log", help="append every execution to this file, one JSON object per line")
    return parser


def listen(host, port):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def rpc_paths(prefixes):
    """(prefix, rpc path) for the root and every prefix, each with and without a final slash."""
    yield "", "/"
    for prefix in prefixes:
        yield prefix, prefix
        yield prefix, prefix + "/"


class Announcing(uvicorn.Server):
    """Tells the starter that requests are answered from now on."""

    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("listening", sockets[0].getsockname()[1], flush=True)


def serve(app, listener):
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    Announcing(config).run(sockets=[listener])
