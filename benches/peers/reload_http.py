"""Reloads of an HTTP echo under load, by nginx or by PM2: `reload_http.py nginx|pm2`.

Prints "reload_us" (from the command to its end, median), "slowest_us" (a request during reloads), and "lost" (requests that
got no answer although each was tried twice).
"""

import http.client
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

RELOADS = 5


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


def until_up(port):
    for _ in range(1000):
        try:
            ask(port)
            return
        except OSError:
            time.sleep(0.01)
    sys.exit("the server does not come up")


def measure(port, reload):
    until_up(port)
    stop, slowest, lost, lock = threading.Event(), [0.0], [0], threading.Lock()

    def load():
        while not stop.is_set():
            began = time.perf_counter()
            answered = False
            for _ in range(2):
                try:
                    ask(port)
                    answered = True
                    break
                except (OSError, http.client.HTTPException):
                    pass
            with lock:
                slowest[0] = max(slowest[0], time.perf_counter() - began)
                lost[0] += not answered

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    times = []
    for _ in range(RELOADS):
        began = time.perf_counter()
        reload()
        times.append(time.perf_counter() - began)
    stop.set()
    for thread in threads:
        thread.join()
    print(f"reload_us {statistics.median(times) * 1e6:.1f}")
    print(f"slowest_us {slowest[0] * 1e6:.1f}")
    print(f"lost {lost[0]}")


def nginx(folder):
    port = free_port()
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w") as file:
        file.write(
            f"worker_processes 2; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:{port}; "
            "location / { return 200 'hello'; } } }\n"
        )
    nginx = ["nginx", "-p", folder, "-c", config, "-e", f"{folder}/error.log"]
    subprocess.run(nginx, check=True)
    master = int(open(f"{folder}/pid").read())

    def workers():
        return set(open(f"/proc/{master}/task/{master}/children").read().split())

    def reload():
        before = workers()
        subprocess.run([*nginx, "-s", "reload"], check=True)
        while workers() & before:
            time.sleep(0.001)

    try:
        measure(port, reload)
    finally:
        subprocess.run([*nginx, "-s", "stop"], check=False)


def pm2(folder):
    port = free_port()
    script = os.path.join(folder, "echo.js")
    with open(script, "w") as file:
        file.write(f"require('http').createServer((q, a) => a.end('hello')).listen({port}, '127.0.0.1')\n")
    environment = {**os.environ, "PM2_HOME": os.path.join(folder, "home")}

    def run(*words):
        subprocess.run(["pm2", *words], check=True, env=environment, stdout=subprocess.DEVNULL)

    run("start", script, "-i", "2", "--name", "echo")
    try:
        measure(port, lambda: run("reload", "echo"))
    finally:
        run("kill")


def main():
    kind = {"nginx": nginx, "pm2": pm2}[sys.argv[1]]
    folder = tempfile.mkdtemp()
    try:
        kind(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
