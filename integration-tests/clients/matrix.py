"""What the Python clients share: arguments, waiting, and one line of report for each feature."""

import sys
import time
import traceback

BOOTSTRAP, SASL_BOOTSTRAP, CA = sys.argv[1:4]
USER, PASSWORD = "alice", "alice-secret"
CODECS = ("gzip", "snappy", "lz4", "zstd")
PARTITIONS = 3
LIMIT_S = 30
RUN = str(time.time_ns())


def name(what):
    """A name that no other run has."""
    return f"py-{what}-{RUN}"


def check(what, actual, expected):
    print(f"{what}: {actual}")
    if actual != expected:
        raise AssertionError(f"{what}: {actual} instead of {expected}")


def wait(what, condition):
    began = time.time()
    while not condition():
        if time.time() - began > LIMIT_S:
            raise AssertionError(f"{what}: not within {LIMIT_S} s")
        time.sleep(0.05)


def run(features):
    """Runs each feature and says whether it works; the run goes on after one that does not."""
    for feature, test in features.items():
        try:
            note = test()
            print(f"feature {feature} ok {note or ''}".rstrip(), flush=True)
        except BaseException as error:  # a client may end the thread by other means than an Exception
            traceback.print_exc()
            print(f"feature {feature} FAILED {type(error).__name__}: {error}".replace("\n", " "), flush=True)
