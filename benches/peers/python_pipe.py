"""A Python host with a plugin in a subprocess of multiprocessing, as the bot that Rosey replaces had it: one echo command.

Prints "cold_us", "round_trip_us" and "per_second".
"""

import multiprocessing
import statistics
import time


def plugin(pipe):
    while True:
        text = pipe.recv_bytes()
        if not text:
            return
        pipe.send_bytes(text)


def start(context):
    here, there = context.Pipe()
    process = context.Process(target=plugin, args=(there,), daemon=True)
    process.start()
    return process, here


def main():
    context = multiprocessing.get_context("spawn")
    text = b"x" * 64
    cold = []
    for _ in range(10):
        began = time.perf_counter()
        process, pipe = start(context)
        pipe.send_bytes(text)
        pipe.recv_bytes()
        cold.append(time.perf_counter() - began)
        pipe.send_bytes(b"")
        process.join()
    process, pipe = start(context)
    trips = []
    for _ in range(5000):
        began = time.perf_counter()
        pipe.send_bytes(text)
        pipe.recv_bytes()
        trips.append(time.perf_counter() - began)
    window, events = 256, 100_000
    began = time.perf_counter()
    for _ in range(window):
        pipe.send_bytes(text)
    for n in range(events):
        pipe.recv_bytes()
        if n < events - window:
            pipe.send_bytes(text)
    rate = events / (time.perf_counter() - began)
    pipe.send_bytes(b"")
    process.join()
    print(f"cold_us {statistics.median(cold) * 1e6:.1f}")
    print(f"round_trip_us {statistics.median(trips) * 1e6:.1f}")
    print(f"per_second {rate:.0f}")


if __name__ == "__main__":
    main()
