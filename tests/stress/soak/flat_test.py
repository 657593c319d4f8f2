"""The verdict of a soak: what counts as growth, and what does not."""

import math
import random
import unittest

import flat


def series(value, seconds=600):
    return [(float(t), value(t)) for t in range(seconds)]


class Flat(unittest.TestCase):
    def test_a_descriptor_a_minute_is_seen(self):
        self.assertTrue(flat.grows(series(lambda t: 12 + t // 60), 1))

    def test_a_page_a_second_is_seen_through_noise(self):
        noise = random.Random(1)
        self.assertTrue(flat.grows(series(lambda t: 9000 + 4 * t + noise.randrange(200)), 256))

    def test_a_leak_is_seen_in_a_sawtooth_that_rises(self):
        self.assertTrue(flat.grows(series(lambda t: 5000 + t % 20 * 30 + 8 * t), 256))

    def test_two_minutes_show_a_descriptor_in_ten_seconds(self):
        self.assertTrue(flat.grows(series(lambda t: 12 + t // 10, 120), 1))

    def test_a_constant_is_flat(self):
        self.assertFalse(flat.grows(series(lambda t: 17), 0))

    def test_noise_is_flat(self):
        noise = random.Random(2)
        self.assertFalse(flat.grows(series(lambda t: 9000 + noise.randrange(4000)), 64))

    def test_a_sawtooth_is_flat(self):
        self.assertFalse(flat.grows(series(lambda t: 9000 + t % 97 * 40), 64))

    def test_a_step_is_flat_wherever_it_comes(self):
        for at in range(0, 600, 25):
            with self.subTest(at=at):
                self.assertFalse(flat.grows(series(lambda t, at=at: 9000 + 500 * (t > at)), 64))

    def test_what_fills_up_and_stays_is_flat(self):
        self.assertFalse(flat.grows(series(lambda t: 9000 * (1 - math.exp(-t / 60))), 128))

    def test_what_falls_is_flat(self):
        self.assertFalse(flat.grows(series(lambda t: 9000 - 3 * t), 0))

    def test_what_comes_and_goes_is_flat(self):
        self.assertFalse(flat.grows(series(lambda t: 30 + 6 * (t % 40 < 3)), 0))

    def test_a_short_series_tells_nothing(self):
        self.assertFalse(flat.grows(series(lambda t: 100 * t, 12), 1))

    def test_what_grew_is_told(self):
        self.assertEqual(flat.growth(series(lambda t: 3 * t)), 3 * 240)


if __name__ == "__main__":
    unittest.main()
