#!/usr/bin/env python3
"""Makes lendpulse's table of examples with Spark: a piece of it by each task.

    python3 spark_examples.py --output examples events/*.ndjson.gz -- --observed-through 2026-10-01
    lendpulse train all --examples examples --models models

An example is made of one borrower's events alone. So the events are keyed by borrower, brought together with the order
of their lines kept, and piped through `lendpulse examples`, which reads events and writes one piece of the table. The
pieces together are the table that one process would have made, example for example.

What stands behind `--` goes to `lendpulse examples`. It needs `--observed-through`: no piece knows where the whole history
ends. `--output` is a folder that every worker and the trainer see under the same name.
"""

import argparse
import json
import os
import shlex
import shutil
import sys
import zlib

from pyspark.sql import SparkSession

# One task: events on standard input, the name of the finished piece on standard output. A task that Spark tries again
# makes another piece; only those of tasks that succeeded are kept.
FILTER = """
piece=$(mktemp -d "$OUTPUT/piece-XXXXXXXX") || exit 1
chmod 755 "$piece"
if "$LENDPULSE" examples --history - --output "$piece" "$@" >&2; then echo "$piece"; else rm -rf "$piece"; exit 1; fi
"""


def borrower(line):
    """Whose an event is; a line that is none goes to any task, which counts it."""
    try:
        return str(json.loads(line)["borrower_id"])
    except (ValueError, KeyError, TypeError):
        return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("events", nargs="+", help="files of events, one JSON a line; also .gz, and whatever Spark can read")
    parser.add_argument("--output", required=True, help="the folder that gets the pieces, the same for all workers")
    parser.add_argument("--pieces", type=int, default=64, help="how many (default 64)")
    parser.add_argument("--lendpulse", default="lendpulse", help="the program, on every worker (default: from PATH)")
    parser.add_argument("--master", help="as spark-submit's; default: what the session says")
    arguments, options = sys.argv[1:], []
    if "--" in arguments:
        place = arguments.index("--")
        arguments, options = arguments[:place], arguments[place + 1 :]
    asked = parser.parse_args(arguments)
    output = os.path.abspath(asked.output)
    os.makedirs(output, exist_ok=True)
    if os.listdir(output):
        sys.exit(f"{output}: is not empty; name a new folder")

    builder = SparkSession.builder.appName("lendpulse examples")
    if asked.master:
        builder = builder.master(asked.master).config("spark.ui.enabled", "false")
    session = builder.getOrCreate()
    pieces = asked.pieces
    command = shlex.join(["sh", "-c", FILTER, "examples", *options])
    environment = {"OUTPUT": output, "LENDPULSE": asked.lendpulse, "PATH": os.environ.get("PATH", "/usr/bin:/bin")}
    made = (
        session.sparkContext.textFile(",".join(asked.events))
        .zipWithIndex()
        .map(lambda numbered: ((borrower(numbered[0]), numbered[1]), numbered[0]))
        .repartitionAndSortWithinPartitions(pieces, lambda key: zlib.crc32(key[0].encode()) % pieces)
        .values()
        .pipe(command, environment, checkCode=True)
        .collect()
    )
    kept = {os.path.basename(piece) for piece in made}
    for name in os.listdir(output):
        if name not in kept:
            shutil.rmtree(os.path.join(output, name))
    session.stop()
    print(f"{output}: {len(made)} pieces")


if __name__ == "__main__":
    main()
