"""The benchmark of the microphone runs, and what it prints is well-formed. Never how good it was."""

import json
import os
import subprocess
import unittest

BENCH = os.environ["BENCH_MICROPHONE"]


class Bench(unittest.TestCase):
    def test_both_ways_are_measured_at_each_latency(self):
        done = subprocess.run([BENCH, "--seconds", "1", "--load", "1", "--format", "json"],
                              text=True, capture_output=True, timeout=100, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)["figures"]
        self.assertEqual([(row["way"], row["latency_ms"]) for row in rows],
                         [(way, latency) for latency in (10, 40, 200)
                          for way in ("read", "call-back")])
        for row in rows:
            self.assertGreater(row["blocks"], 0, row)
            self.assertLessEqual(row["error_min_ms"], row["error_median_ms"])
            self.assertLessEqual(row["error_median_ms"], row["error_max_ms"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
