"""aMQTT as a program: everybody may come in, no log. The argument is its port."""

import asyncio
import logging
import sys

from amqtt.broker import Broker

CONFIG = {
    "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{sys.argv[1]}", "max_connections": 100_000}},
    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
}


async def main():
    broker = Broker(CONFIG)
    await broker.start()
    await asyncio.Event().wait()


logging.disable(logging.CRITICAL)
asyncio.run(main())
