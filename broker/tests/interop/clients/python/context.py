"""What scenarios need: a table to stand in, and topics and clients of their own."""

import threading
import time

from client import Client

V5 = ["5.0"]
KEPT = ["3.1.1", "5.0"]
ALL = ["3.1", *KEPT]
# Seconds in which what must not come would have come.
QUIET = 0.5
RUN = format(time.time_ns() // 1000 % 16**7, "x")
scenarios = []


def scenario(versions):
    def add(function):
        scenarios.extend((version, function) for version in versions)
        return function

    return add


def in_background(function):
    """Runs it in a thread; returns how to wait for its result."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function()), daemon=True)
    thread.start()

    def wait():
        thread.join()
        (value,) = result
        return value

    return wait


class Context:
    """What a scenario needs: topics and clients of its own."""

    def __init__(self, address, version, function):
        self.address, self.version, self.name = address, version, function.__name__
        self.number = scenarios.index((version, function))
        self.made = []

    def topic(self, end):
        return f"interop/{RUN}/python/{self.version}/{self.name}/{end}"

    def client(self, name, **options):
        # 3.1 allows 23 bytes.
        client_id = f"py{RUN}{self.number}{name}"
        client = Client(self.address, self.version, client_id, **options)
        self.made.append(client)
        return client

    def connected(self, name, **options):
        client = self.client(name, **options)
        client.connect()
        return client

    def kept(self, name, expiry=60, **options):
        """A client whose session is kept for `expiry` seconds (5.0), or for ever."""
        if self.version == "5.0":
            options["SessionExpiryInterval"] = expiry
        return self.client(name, clean=False, **options)
