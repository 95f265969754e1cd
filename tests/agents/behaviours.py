"""What the agent does: the order `[agent: ...]` anywhere in the message text, else the text itself.

The marker lets an order survive whatever a sender writes around an alert's text. `emit` hides how
an SDK generation reports progress: see `Emit` in the two servers.
"""

import asyncio
import re

ORDER = re.compile(r"\[agent: ([^\]\n]*)\]")


async def behave(text, emit):
    order = ORDER.search(text)
    word, _, rest = (order.group(1) if order else text).partition(" ")
    match word.lower().strip():
        case "slow":
            seconds, _, rest = rest.partition(" ")
            await emit.working()
            await asyncio.sleep(float(seconds or 5))
            await emit.artifact(f"done after {seconds}s: {rest}")
            await emit.completed()
        case "fail":
            await emit.working()
            await emit.failed(f"simulated failure: {rest}")
        case "reject":
            await emit.rejected(f"simulated rejection: {rest}")
        case "input":
            await emit.working()
            await emit.input_required("Which cluster?")
        case "auth":
            await emit.working()
            await emit.auth_required("approve in the agent's own console")
        case "message":
            await emit.message(f"echo: {rest}")
        case "raise":
            raise RuntimeError(f"the agent raised at once: {rest}")
        case "raise-late":
            await emit.working()
            await asyncio.sleep(0.3)
            raise RuntimeError(f"the agent raised while working: {rest}")
        case "hang":
            await emit.working()
            await asyncio.sleep(3600)
            await emit.completed()
        case "empty":
            await emit.working()
            await emit.completed()
        case "big":
            await emit.working()
            await emit.artifact("x" * int(rest or 1_000_000))
            await emit.completed()
        case _:
            await emit.working()
            await emit.artifact(f"echo: {text}")
            await emit.completed()
