"""Scenarios of MQTT 3.1, 3.1.1 and 5.0 with Eclipse Paho for Python against the broker at an address:

    interop.py HOST:PORT [-SCENARIO...] [SCENARIO...]

runs all scenarios but those with a minus, or only those named (`retained`, `5.0/retained`). Prints `ok SCENARIO` or
`FAILED SCENARIO: why` for each; exit code 1 if any failed.
"""

import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import messages  # noqa: F401
import sessions  # noqa: F401
from context import Context, scenarios


def run(address, version, function):
    t = Context(address, version, function)
    name = f"{version}/{t.name}"
    try:
        function(t)
        return f"ok {name}"
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[1]
        return f"FAILED {name}: {type(error).__name__} in line {frame.lineno} of {frame.filename}: {error}"
    finally:
        for client in t.made:
            client.stop()


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    without = {word[1:] for word in sys.argv[2:] if word.startswith("-")}
    only = {word for word in sys.argv[2:] if not word.startswith("-")}

    def named(words, version, function):
        return bool(words & {function.__name__, f"{version}/{function.__name__}"})

    chosen = [s for s in scenarios if (not only or named(only, *s)) and not named(without, *s)]
    with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
        lines = list(pool.map(lambda s: run((host, int(port)), *s), chosen))
    print("\n".join(lines))
    sys.exit(any(line.startswith("FAILED") for line in lines))


main()
