"""Runs commands of the openstack client in one process, because starting it costs more than a command.

Reads a command per line, its arguments as a JSON list, and answers each with a line:
{"status": exit status, "out": standard output, "err": standard error}. Without standard input it does nothing.
With the argument "shell" both are as a shell can write and read them: arguments that end with NUL, in base64; and
status,out,err with the last two in base64.
With the argument "commands" it prints the names of all load balancer commands instead, one per line.
"""

import base64
import contextlib
import importlib.metadata
import io
import json
import logging
import sys
import time

from openstackclient import shell


def commands():
    for point in importlib.metadata.distribution("python-octaviaclient").entry_points:
        if point.group == "openstack.load_balancer.v2":
            yield point.name.replace("_", " ")


def run(argv):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = shell.main(argv)
        except SystemExit as e:  # of the parser of arguments
            status = e.code
    logging.getLogger().handlers.clear()  # each run adds its own
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


# Between two looks, --wait pauses for 3 s; the servers of these tests are quicker.
pause = time.sleep
time.sleep = lambda seconds: pause(seconds / 10)

if sys.argv[1:] == ["commands"]:
    print("\n".join(sorted(commands())))
    sys.exit()
if sys.argv[1:] == ["shell"]:
    for line in sys.stdin:
        answer = run(base64.b64decode(line).decode().split("\0")[:-1])
        out, err = (base64.b64encode(answer[key].encode()).decode() for key in ("out", "err"))
        print(answer["status"], out, err, sep=",", flush=True)
    sys.exit()
for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
