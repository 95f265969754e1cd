"""A real A2A 1.0 server on the published SDK (see requirements-1x.txt)."""

from a2a.helpers import new_task_from_user_message, new_text_message
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, TaskState
from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette

import serving
from behaviours import behave
from control import Control, RunLog


class Emit:
    """Reports progress the way SDK 1.x wants it; the task is created by the first report."""

    def __init__(self, context, queue):
        self.context = context
        self.queue = queue
        self.updater = None

    async def task(self):
        if self.updater is None:
            task = self.context.current_task
            if task is None:
                task = new_task_from_user_message(self.context.message)
                task.id, task.context_id = self.context.task_id, self.context.context_id
                await self.queue.enqueue_event(task)
            self.updater = TaskUpdater(self.queue, task.id, task.context_id)
        return self.updater

    async def working(self):
        await (await self.task()).start_work()

    async def artifact(self, text):
        await (await self.task()).add_artifact([Part(text=text)], name="result")

    async def completed(self):
        await (await self.task()).complete()

    async def failed(self, text):
        task = await self.task()
        await task.failed(task.new_agent_message([Part(text=text)]))

    async def rejected(self, text):
        task = await self.task()
        await task.reject(task.new_agent_message([Part(text=text)]))

    async def input_required(self, text):
        task = await self.task()
        await task.requires_input(task.new_agent_message([Part(text=text)]))

    async def auth_required(self, text):
        task = await self.task()
        await task.requires_auth(task.new_agent_message([Part(text=text)]))

    async def message(self, text):
        await self.queue.enqueue_event(new_text_message(text, context_id=self.context.context_id))


class Executor(AgentExecutor):
    def __init__(self, log):
        self.log = log

    async def execute(self, context, event_queue):
        text = context.get_user_input()
        task = context.current_task
        self.log.record(
            messageId=context.message.message_id,
            taskId=context.task_id,
            contextId=context.context_id,
            text=text,
            continued=bool(task),
            metadata=MessageToDict(context.message.metadata),
        )
        if task and task.status.state == TaskState.TASK_STATE_INPUT_REQUIRED:
            text = "echo continued " + text
        await behave(text, Emit(context, event_queue))

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def application(url, prefixes, log, versions):
    card = AgentCard(
        name="echo_agent",
        description="Echo agent, A2A 1.0",
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=version) for version in versions
        ],
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        capabilities=AgentCapabilities(streaming=True, push_notifications=False),
        skills=[AgentSkill(id="echo", name="Echo", description="echoes", tags=["test"])],
    )
    handler = DefaultRequestHandler(agent_executor=Executor(log), task_store=InMemoryTaskStore(), agent_card=card)
    routes = []
    for prefix, rpc_path in serving.rpc_paths(prefixes):
        routes += create_agent_card_routes(card, card_url=prefix + "/.well-known/agent-card.json")
        routes += create_jsonrpc_routes(handler, rpc_url=rpc_path, enable_v0_3_compat="0.3" in versions)
    return Starlette(routes=routes)


def main():
    parser = serving.arguments(__doc__)
    parser.add_argument("--compat03", action="store_true", help="serve the 0.3 methods on the same URL too")
    parser.add_argument("--require-version", action="store_true", help="400 in plain text without A2A-Version")
    options = parser.parse_args()
    listener = serving.listen(options.host, options.port)
    url = f"http://{options.host}:{listener.getsockname()[1]}/"
    log = RunLog(options.log)
    versions = ["1.0", "0.3"] if options.compat03 else ["1.0"]
    app = application(url, options.prefix, log, versions)
    required = sorted(versions) if options.require_version else ()
    serving.serve(Control(app, log, token=options.token, required_versions=required), listener)


if __name__ == "__main__":
    main()
