"""A real A2A 0.3 server on the published SDK (see requirements-03.txt)."""

from a2a.server.agent_execution import AgentExecutor
from a2a.server.apps import A2AStarletteApplication
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentSkill, Part, TaskState, TextPart
from a2a.utils import new_agent_text_message, new_task
from starlette.applications import Starlette

import serving
from behaviours import behave
from control import Control, RunLog


def part(text):
    return Part(root=TextPart(text=text))


class Emit:
    """Reports progress the way SDK 0.3 wants it; the task is created by the first report."""

    def __init__(self, context, queue):
        self.context = context
        self.queue = queue
        self.updater = None

    async def task(self):
        if self.updater is None:
            task = self.context.current_task
            if task is None:
                task = new_task(self.context.message)
                task.id, task.context_id = self.context.task_id, self.context.context_id
                await self.queue.enqueue_event(task)
            self.updater = TaskUpdater(self.queue, task.id, task.context_id)
        return self.updater

    async def working(self):
        await (await self.task()).start_work()

    async def artifact(self, text):
        await (await self.task()).add_artifact([part(text)], name="result")

    async def completed(self):
        await (await self.task()).complete()

    async def failed(self, text):
        task = await self.task()
        await task.failed(task.new_agent_message([part(text)]))

    async def rejected(self, text):
        task = await self.task()
        await task.reject(task.new_agent_message([part(text)]))

    async def input_required(self, text):
        task = await self.task()
        await task.requires_input(task.new_agent_message([part(text)]), final=True)

    async def auth_required(self, text):
        task = await self.task()
        await task.requires_auth(task.new_agent_message([part(text)]), final=True)

    async def message(self, text):
        await self.queue.enqueue_event(new_agent_text_message(text, context_id=self.context.context_id))


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
            metadata=context.message.metadata or {},
        )
        if task and task.status.state == TaskState.input_required:
            text = "echo continued " + text
        await behave(text, Emit(context, event_queue))

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def application(url, prefixes, log):
    card = AgentCard(
        name="echo_agent",
        description="Echo agent, A2A 0.3",
        url=url,
        version="1.0.0",
        protocol_version="0.3.0",
        preferred_transport="JSONRPC",
        default_input_modes=["text"],
        default_output_modes=["text"],
        capabilities=AgentCapabilities(streaming=True, push_notifications=False),
        skills=[AgentSkill(id="echo", name="Echo", description="echoes", tags=["test"])],
    )
    handler = DefaultRequestHandler(agent_executor=Executor(log), task_store=InMemoryTaskStore())
    agent = A2AStarletteApplication(agent_card=card, http_handler=handler)
    app = Starlette()
    for prefix, rpc_path in serving.rpc_paths(prefixes):
        agent.add_routes_to_app(
            app,
            agent_card_url=prefix + "/.well-known/agent-card.json",
            rpc_url=rpc_path,
            extended_agent_card_url=prefix + "/agent/authenticatedExtendedCard",
        )
    return app


def main():
    options = serving.arguments(__doc__).parse_args()
    listener = serving.listen(options.host, options.port)
    url = f"http://{options.host}:{listener.getsockname()[1]}/"
    log = RunLog(options.log)
    app = application(url, options.prefix, log)
    serving.serve(Control(app, log, token=options.token), listener)


if __name__ == "__main__":
    main()
